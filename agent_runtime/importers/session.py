"""Builds the transcript of a session that another agent has recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from agent_runtime.importers.file_changes import FileChange
from agent_runtime.importers.session_lines import SessionLines
from agent_runtime.importers.session_values import (
    UNKNOWN_TIME,
    Content,
    complete_event,
    cut,
    dumped,
    milliseconds,
    parsed_time,
    text_of,
)
from agent_runtime.lazy import dataclass
from agent_runtime.protocol import events as event
from agent_runtime.protocol.messages import Image, Text, Usage, UserMessage
from agent_runtime.protocol.user_events import PlanEvent, PlanItem
from agent_runtime.providers.prices import PriceTable
from agent_runtime.transcripts.reader import Transcript
from agent_runtime.transcripts.records import (
    ControlRecord,
    End,
    EventRecord,
    Header,
    PromptRecord,
    RequestRecord,
    ToolResultRecord,
)
from agent_runtime.version import VERSION

MAIN = ""  # the chain of the session itself; those of sub-agents have their ids


@dataclass
class SessionInfo:
    """What a file says of its session as a whole. `source` is the program that has written it."""

    source: str
    provider: str
    session_id: str = ""
    version: str = ""
    model: str = ""
    workspace: str = ""
    system: str = ""


@dataclass
class _Call:
    tool: str
    turn: int
    chain: str
    began: str


@dataclass
class SessionBuilder:
    """Collects the records of a session, in the order in which it went on.

    Each method takes the chain (MAIN, or the id of a sub-agent) where they may differ. `now` is the time of the line
    that is being read, RFC 3339; lines without a time have that of the line before.
    """

    info: SessionInfo
    now: str = ""
    began: str = ""
    records: list[Any] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    _seq: int = 1  # 0 is `start`
    _turn: int = 0
    _turns: dict[str, int] = field(default_factory=dict)  # the open turn of each chain
    _held: tuple[int, str] | None = (
        None  # the last text of the model, until it is known whether it is the answer
    )
    _calls: dict[str, _Call] = field(default_factory=dict)
    _known_calls: set[str] = field(default_factory=set)
    _tools: dict[str, None] = field(default_factory=dict)
    _usage: Usage = field(default_factory=Usage)
    _cost: float | None = 0.0
    _edits: dict[str, str] = field(default_factory=dict)  # path -> its last action
    _aborted: bool = False
    _error: event.ErrorInfo | None = None
    _prices: PriceTable = field(default_factory=lambda: PriceTable({}))

    def at_time(self, when: Any) -> None:
        """Set the time of what follows; anything that is not a time is ignored."""
        if time := parsed_time(when):
            self.now = time
            self.began = self.began or self.now

    def user(self, content: Content) -> None:
        """Add a message of the user to the session itself."""
        if not content:
            return
        self._flush()
        self._close_turn(MAIN)
        self._aborted, self._error = False, None
        for id in [id for id, call in self._calls.items() if call.chain == MAIN]:
            self._no_result(id)
        text = "\n".join(part.text if isinstance(part, Text) else "[image]" for part in content)
        message = UserMessage(blocks=content).model_dump(mode="json", by_alias=True)
        self.records.append(PromptRecord(at=self._at(), call=self._turn, messages=(message,)))
        if self._turn:
            record = ControlRecord(at=self._at(), action="input", calls=self._turn, results=0, text=text)
            self.records.append(record)
        else:
            parts = [
                part.model_dump(mode="json", by_alias=True) for part in content if isinstance(part, Image)
            ]
            given = {"role": "user", "content": text if not parts else text_of(content)}
            self.messages.append(given | ({"parts": parts} if parts else {}))

    def turn(self, chain: str, key: str | None = None) -> int:
        """Return the number of the model call that what follows is a part of.

        Args:
            chain: of the session or a sub-agent.
            key: a new one begins a new turn; None stays in the open turn, if there is one.
        """
        name = f"{chain}\0{key or ''}"
        if name not in self._turns:
            self._close_turn(chain)
            self._turn += 1
            self._turns[name] = self._turn
        return self._turns[name]

    def reasoning(self, chain: str, turn: int, text: str) -> None:
        """Add reasoning of the model."""
        if text.strip():
            self._flush(chain)
            self._emit(event.ThinkingEvent(content=cut(text), kind="reasoning", turn=turn))

    def text(self, chain: str, turn: int, text: str) -> None:
        """Add text of the model. The last one of the session is its answer."""
        if not text.strip():
            return
        if chain != MAIN:
            self._emit(event.ThinkingEvent(content=cut(text), kind="text", turn=turn))
            return
        if self._held and self._held[0] == turn:
            text = f"{self._held[1]}\n\n{text}"
            self._held = None
        self._flush()
        self._aborted, self._error = False, None
        self._held = (turn, text)

    def call(self, chain: str, turn: int, id: str, tool: str, given: Any) -> None:
        """Add a call of a tool. One whose id is known already is ignored."""
        if not id or id in self._known_calls:
            return
        self._flush(chain)
        self._known_calls.add(id)
        self._calls[id] = _Call(tool, turn, chain, self.now)
        self._tools[tool] = None
        self._emit(event.ToolCallEvent(id=id, tool=tool, input=given, turn=turn))

    def has_call(self, id: str) -> bool:
        """Whether this call waits for its result."""
        return id in self._calls

    def result(
        self,
        id: str,
        content: Content,
        *,
        is_error: bool = False,
        outcome: event.Outcome | None = None,
        exit_code: int | None = None,
        duration_ms: int | None = None,
    ) -> None:
        """Add the result of a call.

        Raises:
            ValueError: there is no such call, or it has a result.
        """
        call = self._calls.pop(id, None)
        if call is None:
            raise ValueError(
                f"a result of {id or 'a call without an id'}, which is not a call without a result"
            )
        self._close_turn(call.chain)
        outcome = outcome or ("failed" if is_error else "completed")
        duration = duration_ms if duration_ms is not None else milliseconds(call.began, self.now)
        text = "\n".join(
            part.text if isinstance(part, Text) else f"[image {part.media_type}]" for part in content
        )
        self.records.append(
            ToolResultRecord(
                at=self._at(),
                id=id,
                tool=call.tool,
                duration_ms=duration,
                content=content,
                is_error=is_error,
                outcome=outcome,
                exit_code=exit_code,
            )
        )
        output = cut(text)
        self._emit(
            event.ToolResultEvent(
                id=id,
                tool=call.tool,
                output=output,
                is_error=is_error,
                outcome=outcome,
                duration_ms=duration,
                exit_code=exit_code,
                output_bytes=len(text.encode()) if output != text else None,
                truncated=True if output != text else None,
                turn=call.turn,
            )
        )

    def edits(self, id: str, changes: Iterable[FileChange]) -> None:
        """Add the changes of files that a call has made."""
        for change in changes:
            self._edits[change.path] = change.action
            if change.old_path:
                self._edits[change.old_path] = "delete"
            self._emit(change.event(self.info.workspace, id))

    def plan(self, turn: int, items: Sequence[PlanItem], explanation: str | None) -> None:
        """Add a plan."""
        self._emit(PlanEvent(items=tuple(items), explanation=explanation or None, turn=turn))

    def usage(self, turn: int, usage: Usage, model: str, window: int = 0) -> None:
        """Add the tokens of a model call."""
        when = self._prices.cost(self.info.provider, model or self.info.model, "", usage)
        self._usage += usage
        self._cost = None if when is None or self._cost is None else self._cost + when
        self._emit(event.usage_report(usage, turn, (usage.total_tokens, window), when))

    def notice(self, code: event.NoticeCode, message: str, **details: Any) -> None:
        """Add a notice."""
        self._emit(event.NoticeEvent(code=code, message=message, details=details or None))

    def error(self, message: str, *, retryable: bool) -> None:
        """Add a failure of the provider; one that is not `retryable` ends the session unless it goes on."""
        self._flush()
        self._emit(
            event.ErrorEvent(code="provider_error", message=cut(message), retryable=retryable, details=None)
        )
        if not retryable:
            self._error = event.ErrorInfo(code="provider_error", message=cut(message))

    def abort(self) -> None:
        """The user has interrupted the model."""
        self._flush()
        self._aborted = True
        for id in [id for id, call in self._calls.items() if call.chain == MAIN]:
            self._no_result(id)

    def finish(self, path: Path, lines: SessionLines) -> Transcript:
        """Return the transcript. It has no end when the file ends in the middle of a turn."""
        if lines.damaged:
            message = f"{lines.damaged} of {lines.total} lines were left out: {'; '.join(lines.damage)}"
            self.notice("history_repaired", message, leftOut=lines.damaged)
        self._complete()
        begun = self.began or UNKNOWN_TIME
        info = self.info
        run_id = f"{info.source}-{info.session_id or path.name.split('.')[0]}"
        start = event.StartEvent(
            runtime_version=VERSION,
            agent=info.source,
            model=info.model,
            provider=info.provider,
            workspace=info.workspace,
            tools=tuple(self._tools),
            limits={},
            seq=0,
            ts=begun,
        )
        system = [PromptRecord(at=0, call=0, system=info.system)] if info.system else []
        records = [EventRecord(at=0, event=dumped(start)), *system, *self.records]
        for record in records:
            if isinstance(record, EventRecord):
                record.event["runId"] = run_id
        header = Header(runtime_version=VERSION, run_id=run_id, created_at=begun, workspace=info.workspace)
        request = RequestRecord(
            request={"messages": self.messages, "model": info.model, "workspace": info.workspace},
            resolved={"imported": {"source": info.source, "version": info.version, "file": path.name}},
        )
        return Transcript(path, header, request, (header, request, *records))

    def _complete(self) -> None:
        """Add `complete`, unless the file ends in the middle of a turn: then the session was cut off."""
        waiting = any(call.chain == MAIN for call in self._calls.values())
        if not (self._held or self._aborted or self._error) or waiting:
            return
        for id in list(self._calls):
            self._no_result(id)
        ended = complete_event(
            answer=cut(self._held[1] if self._held else ""),
            error=self._error,
            aborted=self._aborted,
            edits=self._edits,
            usage=self._usage,
            cost=self._cost,
            calls=self._turn,
            duration_ms=milliseconds(self.began, self.now),
        )
        self._emit(ended)
        code = 0 if ended.status == "completed" else 1
        self.records.append(End(at=self._at(), status=ended.status, exit_code=code))

    def _no_result(self, id: str) -> None:
        self.result(
            id, (Text(text="The session has no result of this call."),), is_error=True, outcome="cancelled"
        )

    def _flush(self, chain: str = MAIN) -> None:
        if self._held and chain == MAIN:
            turn, text = self._held
            self._held = None
            self._emit(event.ThinkingEvent(content=cut(text), kind="text", turn=turn))

    def _close_turn(self, chain: str) -> None:
        self._turns.pop(f"{chain}\0", None)

    def _at(self) -> int:
        return milliseconds(self.began, self.now)

    def _emit(self, new: event.Event) -> None:
        line = new.model_copy(update={"seq": self._seq, "ts": self.now or UNKNOWN_TIME})
        self._seq += 1
        record = EventRecord.model_construct(kind="event", at=self._at(), event=dumped(line))
        self.records.append(record)
