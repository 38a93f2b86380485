"""The event stream of a replay: adds recorded observations, and compares the events with the recorded ones."""

from __future__ import annotations

import json
import sys
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent_runtime.output.event_writer import EventWriter
from agent_runtime.output.masking import Masker
from agent_runtime.protocol import events
from agent_runtime.transcripts.compare import TIMING, Divergence, compare
from agent_runtime.transcripts.masks import Masks
from agent_runtime.transcripts.reader import Transcript
from agent_runtime.transcripts.rewrite import path_change, rewrite

_OBSERVED = ("file_edit", "dev_url")  # taken from the recording when no tool is executed


class ReplayEventWriter(EventWriter):
    """An event writer for replays.

    Args:
        masks: how to compare the streams before `complete`; a difference is reported as `replay_mismatch`. None
            disables the comparison.
        observed: add the recorded file edits and servers at their position in the stream.

    Attributes:
        divergence: the first difference; None when there is none, or the streams were not compared.
    """

    def __init__(
        self,
        fd: int,
        run_id: str,
        transcript: Transcript,
        *,
        workspace: Path,
        masks: Masks | None,
        observed: bool,
        mask: Masker,
        spill: Path,
        tee: Callable[[str], None] | None,
    ) -> None:
        super().__init__(fd, run_id, mask=mask, spill=spill, tee=tee)
        self.divergence: Divergence | None = None
        self._workspace = str(workspace)
        self._old_workspace = transcript.header.workspace
        self._masks = masks
        self._expected = transcript.events
        self._lines: list[str] = []
        self._observed = (
            RecordedObservations(self._expected, self._old_workspace, self._workspace) if observed else None
        )

    def put(self, event: events.Event) -> None:
        """See EventWriter.put."""
        if self._observed is not None and not self.ended:
            for seen in self._observed.before(event):
                super().put(seen)
            event = self._observed.completed(event)
        if self._masks and isinstance(event, events.CompleteEvent):
            event = self._verified(event, self._masks)
        super().put(event)

    def record(self, line: str) -> None:
        """See EventWriter.record."""
        if self._masks:
            self._lines.append(line)
        super().record(line)

    def _verified(self, event: events.CompleteEvent, masks: Masks) -> events.CompleteEvent:
        last = event.model_dump(mode="json", by_alias=True) | {"seq": self.seq}
        self.divergence = compare(
            self._expected,
            [*map(json.loads, self._lines), json.loads(self.mask(json.dumps(last)))],
            masks=masks,
            old_workspace=self._old_workspace,
            new_workspace=self._workspace,
        )
        if self.divergence is None:
            return event
        message, details = str(self.divergence), self.divergence.details()
        if event.error is None or event.error.code != "replay_mismatch":
            super().put(
                events.ErrorEvent(code="replay_mismatch", message=message, retryable=False, details=details)
            )
        info = events.ErrorInfo(code="replay_mismatch", message=message, details=details)
        return event.model_copy(update={"status": "failed", "stop_reason": "error", "error": info})


class RecordedObservations:
    """The observations of the recorded run: file edits, servers, and the state at its end."""

    def __init__(self, recorded: list[dict[str, Any]], old_workspace: str, new_workspace: str) -> None:
        rename = path_change(old_workspace, new_workspace)
        self._seen: deque[tuple[int, dict[str, Any]]] = deque()
        self._steps: deque[int] = deque()  # positions of the events that come one after the other
        # the results, which may come in another order
        self._results: dict[str, deque[int]] = defaultdict(deque)
        self._end: dict[str, Any] = {}
        for place, event in enumerate(recorded):
            kind = event["type"]
            if kind in _OBSERVED:
                self._seen.append((place, rewrite(event, rename)))
            elif kind == "tool_result":
                self._results[event["id"]].append(place)
            elif kind == "complete":
                self._end = rewrite(event, rename)
            elif kind not in TIMING:
                self._steps.append(place)

    def before(self, event: events.Event) -> list[events.Event]:
        """Return the observations that precede this event and have not been returned yet."""
        place = self._place(event)
        found: list[events.Event] = []
        while self._seen and self._seen[0][0] < place:
            found.append(_seen(self._seen.popleft()[1]))
        return found

    def completed(self, event: events.Event) -> events.Event:
        """Return the event; `complete` with the recorded state of files and servers."""
        if not isinstance(event, events.CompleteEvent) or not self._end:
            return event
        state = events.CompleteEvent.model_validate(_known(events.CompleteEvent, self._end))
        names = ("files", "deleted_files", "ignored_changes", "dev_url", "dev_urls", "left", "ended")
        return event.model_copy(update={name: getattr(state, name) for name in names})

    def _place(self, event: events.Event) -> int:
        if isinstance(event, events.CompleteEvent):
            return sys.maxsize
        if isinstance(event, events.ToolResultEvent):
            places = self._results[event.id]
            return places.popleft() if places else -1
        if getattr(event, "type", "") in TIMING:
            return -1
        return self._steps.popleft() if self._steps else -1


def _seen(event: Mapping[str, Any]) -> events.Event:
    model = events.FileEditEvent if event["type"] == "file_edit" else events.DevUrlEvent
    return model.model_validate(_known(model, event))


def _known(model: type[events.Event], event: Mapping[str, Any]) -> dict[str, Any]:
    names = [field.alias or name for name, field in model.model_fields.items()]
    return {name: event[name] for name in names if name in event}
