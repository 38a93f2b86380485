"""Converts the events of a run to updates of its session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

from agent_runtime.acp.tool_calls import diffs, text_content, tool_call
from agent_runtime.protocol import events
from agent_runtime.protocol.user_events import PlanItem

Json = dict[str, Any]

_OUTPUT_TAIL = 8_000  # characters at the end of the output of a call that is still running
_INTERVAL = 0.2  # seconds between two updates of such an output: each update has the whole content


class RunUpdates:
    """Turns the events of one run into updates, in order.

    Args:
        cwd: the folder of the session; relative paths in calls start there.
        cost: US dollars that the session had cost before.
        now: a clock in seconds.
    """

    def __init__(self, cwd: str, *, cost: float = 0.0, now: Callable[[], float] = monotonic) -> None:
        self._cwd, self._now = cwd, now
        self.cost = cost
        self._streamed: set[tuple[str, int]] = set()  # kinds of text of which a turn has sent deltas
        self._content: dict[str, list[Json]] = {}  # diffs of each call
        self._locations: dict[str, list[Json]] = {}
        self._output: dict[str, str] = {}
        self._updated: dict[str, float] = {}
        self._has_text = False

    def of(self, event: events.AnyEvent) -> Iterator[Json]:
        """Yield the updates for an event; most events have one, some have none."""
        if isinstance(event, events.TextDeltaEvent):
            yield from self._chunk("text", event.turn, event.delta)
        elif isinstance(event, events.ThinkingDeltaEvent):
            yield from self._chunk("reasoning", event.turn, event.delta)
        elif isinstance(event, events.ThinkingEvent):
            if (event.kind, event.turn) not in self._streamed:
                yield from self._chunk(event.kind, event.turn, event.content)
        elif isinstance(event, events.ToolCallEvent):
            call = tool_call(event.id, event.tool, event.input, self._cwd)
            self._locations[event.id] = call.get("locations", [])
            yield {"sessionUpdate": "tool_call", "status": "in_progress", **call}
        elif isinstance(event, events.ToolOutputDeltaEvent):
            yield from self._partial(event.id, event.delta)
        elif isinstance(event, events.FileEditEvent):
            yield from self._edit(event)
        elif isinstance(event, events.ToolResultEvent):
            yield self._result(event)
        elif isinstance(event, events.PlanEvent):
            yield {"sessionUpdate": "plan", "entries": [_entry(item) for item in event.items]}
        elif isinstance(event, events.UsageEvent):
            yield self._usage(event)
        elif isinstance(event, events.CompleteEvent) and event.output and not self._has_text:
            yield from self._chunk("text", 0, event.output)

    def _chunk(self, kind: str, turn: int, text: str) -> Iterator[Json]:
        if not text:
            return
        self._streamed.add((kind, turn))
        self._has_text = self._has_text or kind == "text"
        yield chunk("agent_message_chunk" if kind == "text" else "agent_thought_chunk", text)

    def _partial(self, id: str, delta: str) -> Iterator[Json]:
        self._output[id] = (self._output.get(id, "") + delta)[-_OUTPUT_TAIL:]
        now = self._now()
        if now - self._updated.get(id, float("-inf")) >= _INTERVAL:
            self._updated[id] = now
            yield self._update(id, text=self._output[id])

    def _edit(self, event: events.FileEditEvent) -> Iterator[Json]:
        """Add the diffs of an edit to its call. Edits of processes that outlive their calls have none."""
        if (id := event.tool_call_id) is None or id not in self._locations:
            return
        for content, line in diffs(event.path, event.diff):
            self._content.setdefault(id, []).append(content)
            at = {"path": event.path, "line": line}
            self._locations[id] = [each for each in self._locations[id] if each != {"path": event.path}] + [
                at
            ]
        yield self._update(id, locations=self._locations[id])

    def _result(self, event: events.ToolResultEvent) -> Json:
        raw = event.model_dump(mode="json", by_alias=True, include={"output", "exit_code", "outcome"})
        return self._update(
            event.id,
            text=event.output,
            status="failed" if event.is_error else "completed",
            rawOutput={name: value for name, value in raw.items() if value is not None},
        )

    def _update(self, id: str, *, text: str = "", **fields: Any) -> Json:
        content = self._content.get(id, []) + ([text_content(text)] if text else [])
        return {"sessionUpdate": "tool_call_update", "toolCallId": id, "content": content, **fields}

    def _usage(self, event: events.UsageEvent) -> Json:
        self.cost += event.cost_usd or 0
        found: Json = {
            "sessionUpdate": "usage_update",
            "used": event.context_tokens,
            "size": event.context_window,
        }
        return found | ({"cost": {"amount": self.cost, "currency": "USD"}} if self.cost else {})


def chunk(kind: str, text: str) -> Json:
    """Return a piece of a message as an update; `kind` is its `sessionUpdate`."""
    return {"sessionUpdate": kind, "content": {"type": "text", "text": text}}


def _entry(item: PlanItem) -> Json:
    return {"content": item.step, "priority": "medium", "status": item.status}
