"""The records of an imported session, with the times and numbers that its events have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from agent_runtime.importers.session_values import UNKNOWN_TIME, dumped, milliseconds, parsed_time
from agent_runtime.lazy import dataclass
from agent_runtime.protocol import events as event
from agent_runtime.transcripts.reader import Transcript
from agent_runtime.transcripts.records import EventRecord, Header, PromptRecord, RequestRecord
from agent_runtime.version import VERSION


@dataclass
class SessionInfo:
    """What a file says about the whole session. `source` is the program that has written it."""

    source: str
    provider: str
    session_id: str = ""
    version: str = ""
    model: str = ""
    workspace: str = ""
    system: str = ""


@dataclass
class SessionRecords:
    """Collects the records of a session in their order.

    Attributes:
        now: the time of the line that is being read, RFC 3339; lines without a time have that of the line before.
        began: the first time of the session; empty until there is one.
    """

    now: str = ""
    began: str = ""
    _records: list[Any] = field(default_factory=list)
    _seq: int = 1  # 0 is `start`

    @property
    def at(self) -> int:
        """Milliseconds since the session began."""
        return milliseconds(self.began, self.now)

    def at_time(self, when: Any) -> None:
        """Set the time of the records that follow; anything that is not a time is ignored."""
        if time := parsed_time(when):
            self.now = time
            self.began = self.began or self.now

    def add(self, record: Any) -> None:
        """Add a record that is not an event."""
        self._records.append(record)

    def emit(self, new: event.Event) -> None:
        """Add an event, with the next number and the current time."""
        line = new.model_copy(update={"seq": self._seq, "ts": self.now or UNKNOWN_TIME})
        self._seq += 1
        self.add(EventRecord.model_construct(kind="event", at=self.at, event=dumped(line)))

    def transcript(
        self, path: Path, info: SessionInfo, messages: list[dict[str, Any]], tools: Iterable[str]
    ) -> Transcript:
        """Return the transcript of the records.

        Args:
            path: the file of the session.
            info: of the session.
            messages: of the request.
            tools: the tools that the session has used.
        """
        begun = self.began or UNKNOWN_TIME
        run_id = f"{info.source}-{info.session_id or path.name.split('.')[0]}"
        start = event.StartEvent(
            runtime_version=VERSION,
            agent=info.source,
            model=info.model,
            provider=info.provider,
            workspace=info.workspace,
            tools=tuple(tools),
            limits={},
            seq=0,
            ts=begun,
        )
        system = [PromptRecord(at=0, call=0, system=info.system)] if info.system else []
        records = [EventRecord(at=0, event=dumped(start)), *system, *self._records]
        for record in records:
            if isinstance(record, EventRecord):
                record.event["runId"] = run_id
        header = Header(runtime_version=VERSION, run_id=run_id, created_at=begun, workspace=info.workspace)
        request = RequestRecord(request=_request(info, messages), resolved={"imported": _origin(info, path)})
        return Transcript(path, header, request, (header, request, *records))


def _request(info: SessionInfo, messages: list[dict[str, Any]]) -> dict[str, Any]:
    return {"messages": messages, "model": info.model, "workspace": info.workspace}


def _origin(info: SessionInfo, path: Path) -> Mapping[str, str]:
    return {"source": info.source, "version": info.version, "file": path.name}
