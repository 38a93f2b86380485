"""Playing a transcript back: in the place of the model's transport, and of the tools."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent_runtime.errors import ReplayMismatch
from agent_runtime.messages import WireFormat
from agent_runtime.provider import ToolSpec
from agent_runtime.transcript import ControlRecord, ModelResponseRecord, ToolResultRecord, Transcript

if TYPE_CHECKING:
    from agent_runtime.tool import Tool, ToolContext, ToolOutput

OnControl = Callable[[ControlRecord], None]


class Player:
    """One pass through a transcript, shared by all transports and tools of a replayed run.

    Args:
        transcript: the recording.
        speed: the recorded waits are divided by it; infinite means that nothing is waited for.
        on_control: given what came from outside (steering, cancel, deadline), where the recording has it.
    """

    def __init__(
        self, transcript: Transcript, *, speed: float = math.inf, on_control: OnControl = lambda record: None
    ) -> None:
        records = transcript.records
        self.transcript = transcript
        self.calls = 0
        self.results = 0
        self._speed = speed
        self._on_control = on_control
        self._responses: deque[ModelResponseRecord] = deque(
            sorted((r for r in records if isinstance(r, ModelResponseRecord)), key=lambda r: r.call)
        )
        self._controls: deque[ControlRecord] = deque(
            record for record in records if isinstance(record, ControlRecord)
        )
        self._outputs: dict[tuple[str, str], deque[ToolResultRecord]] = {}
        for record in records:
            if isinstance(record, ToolResultRecord):
                self._outputs.setdefault((record.id, record.tool), deque()).append(record)

    def next_response(self, format: WireFormat) -> ModelResponseRecord:
        """The answer to the next body. Raises ReplayMismatch when there is none, or another format's."""
        self.calls += 1
        if not self._responses:
            killed = "" if self.transcript.end else "; the recorded run was killed before it ended"
            raise ReplayMismatch(
                f"the run asks for model call {self.calls}, the recording holds {self.calls - 1}{killed}"
            )
        record = self._responses.popleft()
        if record.format != format:
            raise ReplayMismatch(
                f"model call {self.calls} is made in the {format} format, recorded is {record.format}"
            )
        return record

    def next_output(self, call_id: str, tool: str) -> ToolResultRecord:
        """What the tool gave back, in order where ids repeat. Raises ReplayMismatch when nothing is there."""
        outputs = self._outputs.get((call_id, tool))
        if not outputs:
            raise ReplayMismatch(f"the recording holds no (further) result of {tool} for call {call_id}")
        return outputs.popleft()

    def finished_result(self) -> None:
        """A tool result has come: steering that came after it is delivered."""
        self.results += 1
        self.deliver()

    def deliver(self) -> None:
        """Hand over the steering that the recording has up to here."""
        while self._controls and self._is_due(self._controls[0]):
            record = self._controls.popleft()
            if record.action == "input":
                self._on_control(record)

    async def stopped(self) -> None:
        """The recorded run was cancelled, or timed out, at this point: so is this one."""
        stop = next((record for record in self._controls if record.action in ("cancel", "timeout")), None)
        if stop is None:
            return
        self._controls.remove(stop)
        self._on_control(stop)
        import anyio

        await anyio.sleep_forever()

    async def wait(self, milliseconds: float) -> None:
        """Wait as the recorded run did, faster by `speed`."""
        if milliseconds > 0 and math.isfinite(self._speed):
            import anyio

            await anyio.sleep(milliseconds / 1000 / self._speed)

    def stops_here(self) -> bool:
        """Did the recorded run go no further than this, because something from outside ended it?"""
        return not self._responses and any(c.action in ("cancel", "timeout") for c in self._controls)

    def _is_due(self, record: ControlRecord) -> bool:
        due = record.calls <= self.calls and record.results <= self.results
        return due and record.action not in ("cancel", "timeout")


class ReplayTransport:
    """A transport that answers every body with the next recorded response, failures included."""

    def __init__(self, player: Player, *, format: WireFormat) -> None:
        self._player = player
        self._format: WireFormat = format

    async def stream(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Yields the recorded chunks; raises the recorded ProviderError, or ReplayMismatch."""
        player = self._player
        if player.stops_here():
            await player.stopped()
        record = player.next_response(self._format)
        player.deliver()
        waited = 0
        for chunk, offset in _timed(record):
            await player.wait(offset - waited)
            waited = offset
            yield chunk
        await player.wait(record.duration_ms - waited)
        if record.error is not None:
            raise record.error.error()
        if record.interrupted:
            await player.stopped()

    async def aclose(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class RecordedTool:
    """A tool that runs nothing: it gives back what the recording holds for the call."""

    tool: Tool
    player: Player
    scans: bool = False

    @property
    def name(self) -> str:
        """The real tool's."""
        return self.tool.name

    @property
    def parallel(self) -> bool:
        """The real tool's."""
        return self.tool.parallel

    def spec(self) -> ToolSpec:
        """The real tool's."""
        return self.tool.spec()

    async def call(self, input: Mapping[str, Any], ctx: ToolContext) -> ToolOutput:
        """The recorded output. Raises ReplayMismatch when there is none for this call."""
        record = self.player.next_output(ctx.call_id, self.name)
        await self.player.wait(record.duration_ms)
        if record.outcome == "cancelled":
            await self.player.stopped()
        self.player.finished_result()
        return record.output()


def _timed(record: ModelResponseRecord) -> Iterator[tuple[dict[str, Any], int]]:
    missing = [record.duration_ms] * (len(record.chunks) - len(record.offsets))
    return zip(record.chunks, (*record.offsets, *missing), strict=False)
