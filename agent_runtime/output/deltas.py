"""What is told while something is under way: the delta events of `--partial`, and heartbeats."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator

import anyio

from agent_runtime.agent.model import Delta, OnDelta
from agent_runtime.output.event_writer import EventWriter, timestamp
from agent_runtime.output.masking import Masker, StreamMasker
from agent_runtime.protocol import events

_CLOSES = (events.ThinkingEvent, events.ToolCallEvent, events.UsageEvent, events.CompleteEvent)
LONGEST = 100_000  # characters of one piece: however they are escaped, the line stays whole below its limit


class DeltaWriter:
    """Emits pieces as they arrive, for those who asked. A key split over two pieces is masked all the same."""

    def __init__(
        self, emit: Callable[[events.Event], Awaitable[None]], mask: Masker, *, wanted: bool
    ) -> None:
        self._emit, self._mask, self._wanted = emit, mask, wanted
        self._maskers: dict[tuple[str, str], StreamMasker] = {}
        self._turn = 0

    def of_turn(self, turn: int) -> OnDelta:
        """Where the pieces of that turn go."""
        self._turn = turn
        return self._delta

    async def _delta(self, delta: Delta) -> None:
        if not self._wanted:
            return
        key = delta.kind, delta.id
        if delta.restart:  # what is held back is void as well
            self._maskers.pop(key, None)
            await self._emit(self._event(*key, "", restart=True))
        if delta.text:
            await self._send(*key, self._maskers.setdefault(key, StreamMasker(self._mask)).feed(delta.text))

    async def before(self, event: events.Event) -> None:
        """Give out what is held back, when an event shows that the turn's text is whole."""
        if self._maskers and isinstance(event, _CLOSES):
            maskers, self._maskers = self._maskers, {}
            for (kind, id), masker in maskers.items():
                await self._send(kind, id, masker.flush())

    async def _send(self, kind: str, id: str, text: str) -> None:
        for piece in pieces(text):
            await self._emit(self._event(kind, id, piece))

    def _event(self, kind: str, id: str, delta: str, *, restart: bool | None = None) -> events.Event:
        said = {"delta": delta, "turn": self._turn, "restart": restart}
        if kind == "text":
            return events.TextDeltaEvent(**said)  # type: ignore[arg-type]
        if kind == "thinking":
            return events.ThinkingDeltaEvent(**said)  # type: ignore[arg-type]
        return events.ToolInputDeltaEvent(id=id, **said)  # type: ignore[arg-type]


class ToolDeltaWriter:
    """The pieces of one call's output; their concatenation is the output of its `tool_result`."""

    def __init__(
        self, emit: Callable[[events.Event], Awaitable[None]], mask: Masker, call_id: str, turn: int
    ) -> None:
        self._emit, self._call_id, self._turn = emit, call_id, turn
        self._masker = StreamMasker(mask)
        self._taken = ""

    async def feed(self, piece: str) -> None:
        """A piece of the result, as the tool has it so far."""
        self._taken += piece
        await self._send(self._masker.feed(piece))

    async def finish(self, output: str) -> None:
        """The result is there: what was added to it, and what was held back, follows."""
        if not output.startswith(self._taken):  # what was shown is no part of it
            self._masker.flush()
            self._taken = ""
            restart = events.ToolOutputDeltaEvent(id=self._call_id, delta="", turn=self._turn, restart=True)
            await self._emit(restart)
        await self._send(self._masker.feed(output[len(self._taken) :]))
        await self._send(self._masker.flush())

    async def _send(self, text: str) -> None:
        for piece in pieces(text):
            await self._emit(events.ToolOutputDeltaEvent(id=self._call_id, delta=piece, turn=self._turn))


def pieces(text: str) -> Iterator[str]:
    """The text in pieces that fit a line."""
    return (text[start : start + LONGEST] for start in range(0, len(text), LONGEST))


class HeartbeatTimer:
    """Says what is awaited when nothing else was written for a while."""

    def __init__(self, emitter: EventWriter, emit: Callable[[events.Event], Awaitable[None]]) -> None:
        self._emitter, self._emit = emitter, emit
        self._awaiting, self._since = "model", timestamp()

    def awaiting(self, what: str) -> None:
        """The run now waits for `model`, `tool`, `retry` or `resume`."""
        self._awaiting, self._since = what, timestamp()

    async def beat(self, seconds: float) -> None:
        """Until cancelled."""
        while True:
            quiet = time.monotonic() - self._emitter.last
            if quiet >= seconds:
                await self._emit(events.HeartbeatEvent(awaiting=self._awaiting, since=self._since))  # type: ignore[arg-type]
                quiet = 0
            await anyio.sleep(seconds - quiet)
