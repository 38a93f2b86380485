"""Playing a transcript back in the place of the model's transport; see `transcript_tools` for the tools."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent_runtime.agent.model import Decoder, DroppedParameter, ModelCall, Wire
from agent_runtime.errors import ProviderError, ReplayMismatch
from agent_runtime.protocol.messages import WireFormat
from agent_runtime.transcripts.reader import Transcript
from agent_runtime.transcripts.records import ControlRecord, ModelResponseRecord, ToolResultRecord
from agent_runtime.transcripts.rewrite import Change, path_change, rewrite, rewrite_chunks

OnControl = Callable[[ControlRecord], None]

_STOPS = ("cancel", "timeout")


class Player:
    """One pass through a transcript, shared by all transports and tools of a replayed run.

    Args:
        transcript: the recording.
        workspace: where the replay works; it takes the place of the recorded one in commands and outputs.
        speed: the recorded waits are divided by it; infinite means that nothing is waited for.
        change: what else to change in the texts of the model and of the tools.

        on_control: called with what came from outside (input, cancel, deadline), where the recording has it.

    Attributes:
        mismatch: what a tool was asked for and the recording does not hold; raised by the next model call.
    """

    def __init__(
        self,
        transcript: Transcript,
        *,
        workspace: Path | None = None,
        speed: float = math.inf,
        change: Change | None = None,
        on_control: OnControl = lambda record: None,
    ) -> None:
        records = transcript.records
        self.transcript = transcript
        self._on_control = on_control
        self.mismatch: ReplayMismatch | None = None
        self.calls = 0
        self.results = 0
        self._speed = speed
        old = transcript.header.workspace
        self._moved = change is not None or (workspace is not None and str(workspace) != old)
        move = path_change(old, str(workspace or old))
        self._change: Change = (lambda text: change(move(text))) if change else move
        responses = (record for record in records if isinstance(record, ModelResponseRecord))
        self._responses = deque(sorted(responses, key=lambda record: record.call))
        self._controls = deque(record for record in records if isinstance(record, ControlRecord))
        self._stopped = _stopped_calls(records)
        self._outputs: dict[tuple[str, str], deque[ToolResultRecord]] = {}
        for record in records:
            if isinstance(record, ToolResultRecord):
                self._outputs.setdefault((record.id, record.tool), deque()).append(record)

    def next_response(self, format: WireFormat) -> ModelResponseRecord:
        """The answer to the next body. Raises ReplayMismatch when there is none, or another format's."""
        if self.mismatch:
            raise self.mismatch
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
        if self._moved:
            return record.model_copy(update={"chunks": rewrite_chunks(record.chunks, self._change)})
        return record

    def next_output(self, call_id: str, tool: str) -> ToolResultRecord | None:
        """What the tool gave back, in order where ids repeat. None when nothing further is recorded."""
        outputs = self._outputs.get((call_id, tool))
        if not outputs:
            return None
        record = outputs.popleft()
        if self._moved:
            return ToolResultRecord.model_validate(rewrite(record.model_dump(by_alias=True), self._change))
        return record

    def answered(self) -> None:
        """A tool call has its result: steering that came after it is delivered."""
        self.results += 1
        self.deliver()

    def deliver(self) -> None:
        """Hand over the steering that the recording has up to here."""
        while self._controls and self._is_due(self._controls[0]):
            record = self._controls.popleft()
            if record.action == "input":
                self._on_control(record)

    def stopped_in(self, response: ModelResponseRecord) -> bool:
        """Was the recorded run cancelled, or out of time, while this came in?"""
        return response.call in self._stopped

    def stop(self) -> None:
        """The recorded run was cancelled, or timed out, at this point: so is this one."""
        stop = next((record for record in self._controls if record.action in _STOPS), None)
        if stop is not None:
            self._controls.remove(stop)
            self._on_control(stop)

    async def stopped(self) -> None:
        """Stop, and wait for it."""
        import anyio

        self.stop()
        await anyio.sleep_forever()

    async def wait(self, milliseconds: float) -> None:
        """Wait as the recorded run did, faster by `speed`."""
        if milliseconds > 0 and math.isfinite(self._speed):
            import anyio

            await anyio.sleep(milliseconds / 1000 / self._speed)

    def stops_here(self) -> bool:
        """Did the recorded run go no further than this, because something from outside ended it?"""
        return not self._responses and any(record.action in _STOPS for record in self._controls)

    def _is_due(self, record: ControlRecord) -> bool:
        return record.calls <= self.calls and record.results <= self.results and record.action not in _STOPS


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
        if player.stopped_in(record):
            await player.stopped()

    async def aclose(self) -> None:
        """Nothing is open."""


class ReplayWire:
    """The real wire, spared of what goes nowhere: of a history that grows it encodes the end only."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.format: WireFormat = wire.format

    def encode(self, call: ModelCall) -> tuple[dict[str, Any], Sequence[DroppedParameter]]:
        """The body of a call with the last message alone; what the model does not take is all there."""
        return self._wire.encode(replace(call, messages=call.messages[-1:]))

    def decoder(self, call: ModelCall) -> Decoder:
        """The real decoder."""
        return self._wire.decoder(call)

    def adapted(self, error: ProviderError, body: dict[str, Any]) -> ReplayWire | None:
        """What the real wire learns."""
        wire = self._wire.adapted(error, body)
        return ReplayWire(wire) if wire else None


def _stopped_calls(records: Sequence[Any]) -> set[int]:
    """The calls that were under way when the run was stopped: what they gave is recorded after the stop."""
    stops = [
        i for i, record in enumerate(records) if isinstance(record, ControlRecord) and record.action in _STOPS
    ]
    late = records[stops[0] :] if stops else ()
    return {record.call for record in late if isinstance(record, ModelResponseRecord) and record.interrupted}


def _timed(record: ModelResponseRecord) -> Iterator[tuple[dict[str, Any], int]]:
    missing = [record.duration_ms] * (len(record.chunks) - len(record.offsets))
    return zip(record.chunks, (*record.offsets, *missing), strict=False)
