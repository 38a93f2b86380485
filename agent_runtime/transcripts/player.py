"""Plays a transcript in place of the model's transport; see `replay_tools` for the tools."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio

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
        workspace: the workspace of the replay; its path replaces the recorded one in commands and outputs.
        speed: the recorded waiting times are divided by it; infinity disables them.
        change: further rewriting of the texts of the model and the tools.
        on_control: called with recorded control messages, cancellations and timeouts at the same point of the run.

    Attributes:
        mismatch: set when the recording has no result for a call; raised by the next model call.
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
        """Return the next recorded response. Raises ReplayMismatch when there is none, or its format differs."""
        if self.mismatch:
            raise self.mismatch
        self.calls += 1
        if not self._responses:
            killed = "" if self.transcript.end else "; the recorded run was killed before it ended"
            raise ReplayMismatch(
                f"the run makes model call {self.calls}, the recording has {self.calls - 1}{killed}"
            )
        record = self._responses.popleft()
        if record.format != format:
            raise ReplayMismatch(
                f"model call {self.calls} uses the format {format}, the recorded one {record.format}"
            )
        if self._moved:
            return record.model_copy(update={"chunks": rewrite_chunks(record.chunks, self._change)})
        return record

    def next_output(self, call_id: str, tool: str) -> ToolResultRecord | None:
        """Return the recorded result of a call, in order where ids repeat; None when there is no further one."""
        outputs = self._outputs.get((call_id, tool))
        if not outputs:
            return None
        record = outputs.popleft()
        if self._moved:
            return ToolResultRecord.model_validate(rewrite(record.model_dump(by_alias=True), self._change))
        return record

    def answered(self) -> None:
        """Count a tool call that has its result, and deliver the user input that was recorded after it."""
        self.results += 1
        self.deliver()

    def deliver(self) -> None:
        """Deliver the user input that was recorded up to this point."""
        while self._controls and self._is_due(self._controls[0]):
            record = self._controls.popleft()
            if record.action == "input":
                self._on_control(record)

    def stopped_in(self, response: ModelResponseRecord) -> bool:
        """Return whether the recorded run was cancelled, or timed out, during this response."""
        return response.call in self._stopped

    def stop(self) -> None:
        """Stop the run, because the recorded run was cancelled, or timed out, at this point."""
        stop = next((record for record in self._controls if record.action in _STOPS), None)
        if stop is not None:
            self._controls.remove(stop)
            self._on_control(stop)

    async def stopped(self) -> None:
        """Stop the run, and wait for the cancellation."""
        self.stop()
        await anyio.sleep_forever()

    async def wait(self, milliseconds: float) -> None:
        """Wait for a recorded time, divided by `speed`."""
        if milliseconds > 0 and math.isfinite(self._speed):
            await anyio.sleep(milliseconds / 1000 / self._speed)

    def stops_here(self) -> bool:
        """Return whether the recorded run was stopped here, before another model call."""
        return not self._responses and any(record.action in _STOPS for record in self._controls)

    def _is_due(self, record: ControlRecord) -> bool:
        return record.calls <= self.calls and record.results <= self.results and record.action not in _STOPS


class ReplayTransport:
    """A transport that answers every request with the next recorded response or error."""

    def __init__(self, player: Player, *, format: WireFormat) -> None:
        self._player = player
        self._format: WireFormat = format

    async def stream(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the recorded chunks. Raises the recorded ProviderError, or ReplayMismatch."""
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
        """Do nothing: there is no connection."""


class ReplayWire:
    """Wraps a wire, and encodes only the last message: the body is not sent anywhere."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.format: WireFormat = wire.format

    def encode(self, call: ModelCall) -> tuple[dict[str, Any], Sequence[DroppedParameter]]:
        """Return a body with the last message only, and all parameters that were left out."""
        return self._wire.encode(replace(call, messages=call.messages[-1:]))

    def decoder(self, call: ModelCall) -> Decoder:
        """Return the decoder of the wrapped wire."""
        return self._wire.decoder(call)

    def adapted(self, error: ProviderError, body: dict[str, Any]) -> ReplayWire | None:
        """See Wire.adapted."""
        wire = self._wire.adapted(error, body)
        return ReplayWire(wire) if wire else None


def _stopped_calls(records: Sequence[Any]) -> set[int]:
    """Return the calls that were interrupted when the run was stopped: their responses are recorded after the stop."""
    stops = [
        i for i, record in enumerate(records) if isinstance(record, ControlRecord) and record.action in _STOPS
    ]
    late = records[stops[0] :] if stops else ()
    return {record.call for record in late if isinstance(record, ModelResponseRecord) and record.interrupted}


def _timed(record: ModelResponseRecord) -> Iterator[tuple[dict[str, Any], int]]:
    missing = [record.duration_ms] * (len(record.chunks) - len(record.offsets))
    return zip(record.chunks, (*record.offsets, *missing), strict=False)
