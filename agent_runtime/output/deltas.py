"""The delta events of `--partial`: text, reasoning, tool input and tool output in pieces, as they arrive."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from agent_runtime.agent.call_events import output_text
from agent_runtime.agent.executor import CallInfo
from agent_runtime.agent.model import Delta, OnDelta
from agent_runtime.output.masking import Masker, StreamMasker
from agent_runtime.protocol import events
from agent_runtime.protocol.tool_output import ToolOutput

_CLOSES = (events.ThinkingEvent, events.ToolCallEvent, events.UsageEvent, events.CompleteEvent)
Emit = Callable[[events.Event], Awaitable[None]]

LONGEST = 100_000  # characters of one delta: whatever has to be escaped, the line stays below its limit


class DeltaWriter:
    """Emits the deltas of the model's turns when they are wanted. Masks secrets that are split over two deltas."""

    def __init__(self, emit: Emit, mask: Masker, *, wanted: bool) -> None:
        self._emit, self._mask, self._wanted = emit, mask, wanted
        self._maskers: dict[tuple[str, str], StreamMasker] = {}
        self._turn = 0

    def of_turn(self, turn: int) -> OnDelta:
        """Return the function that takes the deltas of a turn."""
        self._turn = turn
        return self._delta

    async def _delta(self, delta: Delta) -> None:
        if not self._wanted:
            return
        key = delta.kind, delta.id
        if delta.restart:  # discard what is held back as well
            self._maskers.pop(key, None)
            await self._emit(self._event(*key, "", restart=True))
        if delta.text:
            await self._send(*key, self._maskers.setdefault(key, StreamMasker(self._mask)).feed(delta.text))

    async def before(self, event: events.Event) -> None:
        """Emit what is held back when an event shows that the turn's text is complete."""
        if self._maskers and isinstance(event, _CLOSES):
            maskers, self._maskers = self._maskers, {}
            for (kind, id), masker in maskers.items():
                await self._send(kind, id, masker.flush())

    async def _send(self, kind: str, id: str, text: str) -> None:
        for piece in pieces(text):
            await self._emit(self._event(kind, id, piece))

    def _event(self, kind: str, id: str, delta: str, *, restart: bool | None = None) -> events.Event:
        fields = {"delta": delta, "turn": self._turn, "restart": restart}
        if kind == "text":
            return events.TextDeltaEvent(**fields)  # type: ignore[arg-type]
        if kind == "thinking":
            return events.ThinkingDeltaEvent(**fields)  # type: ignore[arg-type]
        return events.ToolInputDeltaEvent(id=id, **fields)  # type: ignore[arg-type]


class ToolDeltaWriter:
    """Emits the output of one call in deltas; their concatenation is the output of its `tool_result`."""

    def __init__(self, emit: Emit, mask: Masker, call_id: str, turn: int) -> None:
        self._emit, self._call_id, self._turn = emit, call_id, turn
        self._masker = StreamMasker(mask)
        self._written = ""

    async def feed(self, piece: str) -> None:
        """Emit a piece of the output."""
        self._written += piece
        await self._send(self._masker.feed(piece))

    async def finish(self, output: str) -> None:
        """Emit the rest of the complete output, and what was held back."""
        if not output.startswith(self._written):  # the emitted pieces are not the beginning of the output
            self._masker.flush()
            self._written = ""
            restart = events.ToolOutputDeltaEvent(id=self._call_id, delta="", turn=self._turn, restart=True)
            await self._emit(restart)
        await self._send(self._masker.feed(output[len(self._written) :]))
        await self._send(self._masker.flush())

    async def _send(self, text: str) -> None:
        for piece in pieces(text):
            await self._emit(events.ToolOutputDeltaEvent(id=self._call_id, delta=piece, turn=self._turn))


class ToolOutputDeltas:
    """A CallObserver that emits `tool_output_delta` events."""

    wants_output = True

    def __init__(self, emit: Emit, mask: Masker) -> None:
        self._emit, self._mask = emit, mask
        self._writers: dict[str, ToolDeltaWriter] = {}

    def _writer(self, info: CallInfo) -> ToolDeltaWriter:
        new = ToolDeltaWriter(self._emit, self._mask, info.call.id, info.turn)
        return self._writers.setdefault(info.call.id, new)

    async def before(self, info: CallInfo) -> None:
        """Do nothing: the call has no output yet."""

    async def on_output(self, info: CallInfo, piece: str) -> None:
        """Emit the piece."""
        await self._writer(info).feed(piece)

    async def after(self, info: CallInfo, output: ToolOutput, seconds: float) -> ToolOutput:
        """Emit the rest of the output; all of it when the call was not run."""
        await self._writer(info).finish(output_text(output))
        del self._writers[info.call.id]
        return output


def pieces(text: str) -> Iterator[str]:
    """Split a text into pieces of at most LONGEST characters."""
    return (text[start : start + LONGEST] for start in range(0, len(text), LONGEST))
