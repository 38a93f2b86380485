"""What is told while something is under way: the delta events of `--partial`, and heartbeats."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import anyio

from agent_runtime import events
from agent_runtime.provider import Delta, OnDelta
from agent_runtime.secrets import Masker, StreamMasker
from agent_runtime.stream import Emitter, timestamp

_CLOSES = (events.Thinking, events.ToolCall, events.UsageReport, events.Error, events.Complete)


class Deltas:
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
        if self._wanted and delta.text:
            masker = self._maskers.setdefault((delta.kind, delta.id), StreamMasker(self._mask))
            await self._send(delta.kind, delta.id, masker.feed(delta.text))

    async def before(self, event: events.Event) -> None:
        """Give out what is held back, when an event shows that the turn's text is whole."""
        if self._maskers and isinstance(event, _CLOSES):
            maskers, self._maskers = self._maskers, {}
            for (kind, id), masker in maskers.items():
                await self._send(kind, id, masker.flush())

    async def _send(self, kind: str, id: str, text: str) -> None:
        if not text:
            return
        if kind == "text":
            await self._emit(events.TextDelta(delta=text, turn=self._turn))
        elif kind == "thinking":
            await self._emit(events.ThinkingDelta(delta=text, turn=self._turn))
        else:
            await self._emit(events.ToolInputDelta(id=id, delta=text, turn=self._turn))


class ToolDeltas:
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
        if output.startswith(self._taken):
            await self._send(self._masker.feed(output[len(self._taken) :]))
        await self._send(self._masker.flush())

    async def _send(self, text: str) -> None:
        if text:
            await self._emit(events.ToolOutputDelta(id=self._call_id, delta=text, turn=self._turn))


class Heartbeat:
    """Says what is awaited when nothing else was written for a while."""

    def __init__(self, emitter: Emitter, emit: Callable[[events.Event], Awaitable[None]]) -> None:
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
                await self._emit(events.Heartbeat(awaiting=self._awaiting, since=self._since))  # type: ignore[arg-type]
                quiet = 0
            await anyio.sleep(seconds - quiet)
