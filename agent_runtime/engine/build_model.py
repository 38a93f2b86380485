"""The model of a run: adapters with their transports, live, recorded or replayed, behind one policy for failures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from agent_runtime.agent.model import DroppedParameter, ModelCall, OnDelta, Transport, Turn, Wire
from agent_runtime.errors import ProviderError
from agent_runtime.protocol import events
from agent_runtime.providers.adapter import Adapter
from agent_runtime.providers.connect import connect, wire_for
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.retry import Candidate, Mend, ResilientModel, RetryPolicy

if TYPE_CHECKING:
    from agent_runtime.engine.supervisor import RunSupervisor
    from agent_runtime.transcripts.player import Player


@dataclass
class RepairingModel:
    """What the loop calls. `mend` may make a refused call acceptable; it is asked once for a call."""

    transports: list[Transport]
    resilient: ResilientModel = field(init=False)
    mend: Mend | None = None

    async def turn(self, call: ModelCall, on_delta: OnDelta) -> Turn:
        """One turn; a call that the provider finds too long is made once more, shorter. Raises ProviderError."""
        try:
            return await self.resilient.turn(call, on_delta)
        except ProviderError as error:
            if error.code != "context_overflow" or self.mend is None:
                raise
            try:
                shorter = await self.mend(call, error)
            except ProviderError as failed:  # the provider's words and request id say more than ours
                error.details["compaction"] = failed.message
                raise error from failed
            if shorter is None:
                raise
        return await self.resilient.turn(shorter, on_delta)

    async def blamed(self, call: ModelCall, error: ProviderError) -> ModelCall | None:
        """The call without what the provider blamed."""
        return await self.mend(call, error) if self.mend else None

    async def reconnect(self) -> None:
        """Drop all connections; the next call makes new ones."""
        for transport in self.transports:
            await transport.aclose()

    aclose = reconnect


def build_models(life: RunSupervisor) -> RepairingModel:
    """One candidate for each endpoint of the plan."""
    transports = [_transport(life, endpoint) for endpoint in life.plan.endpoints]
    teller = _ModelNotices(life)
    candidates = [
        Candidate(
            endpoint.model,
            Adapter(_wire(life, endpoint), transport, on_dropped=teller.dropped),
            f"{endpoint.provider}:{endpoint.model}",
        )
        for endpoint, transport in zip(life.plan.endpoints, transports, strict=True)
    ]
    models = RepairingModel(transports)
    models.resilient = ResilientModel(
        candidates,
        policy=RetryPolicy(max_retries=life.plan.limits.max_retries),
        report=teller.failed,
        on_fallback=teller.fell_back,
        mend=models.blamed,
        sleep=_replayed_sleep(life.frame.player) if life.frame.player else anyio.sleep,
    )
    return models


@dataclass(frozen=True)
class _ModelNotices:
    """Tells the stream what is done about a model that fails, or does not take all that it was given."""

    life: RunSupervisor

    async def failed(self, error: ProviderError, attempt: int, wait: int) -> None:
        """A call will be made again, after so many milliseconds."""
        self.life.heart.awaiting("retry")
        await self.life.emit(
            events.ErrorEvent(
                code=error.code,
                message=error.message,
                retryable=True,
                attempt=attempt,
                retry_in_ms=wait,
                details=error.event_details() or None,
            )
        )

    async def fell_back(self, failed: Candidate, now: Candidate, error: ProviderError) -> None:
        """The next model is used from here on."""
        message = f"{failed.label} is {error.code.replace('_', ' ')}; {now.label} is used from here on"
        details = {"from": failed.label, "to": now.label}
        await self.life.emit(events.NoticeEvent(code="fallback_model", message=message, details=details))

    async def dropped(self, parameter: DroppedParameter) -> None:
        """The model does not take a parameter."""
        message = f"{parameter.parameter} was left out: {parameter.reason}"
        details = {"parameter": parameter.parameter}
        await self.life.emit(events.NoticeEvent(code="parameter_dropped", message=message, details=details))


def _replayed_sleep(player: Player) -> Callable[[float], Awaitable[None]]:
    async def sleep(seconds: float) -> None:
        await player.wait(seconds * 1000)

    return sleep


def _wire(life: RunSupervisor, endpoint: Endpoint) -> Wire:
    wire = wire_for(endpoint)
    if life.frame.player and not life.frame.recorder:
        from agent_runtime.transcripts.player import ReplayWire

        return ReplayWire(wire)
    return wire


def _transport(life: RunSupervisor, endpoint: Endpoint) -> Transport:
    transport: Transport
    if life.frame.player:
        from agent_runtime.transcripts.player import ReplayTransport

        transport = ReplayTransport(life.frame.player, format=endpoint.format)
    else:
        from agent_runtime.providers.transport import StreamTimeouts

        transport = connect(endpoint, limits=StreamTimeouts.of(life.plan.limits))
    if life.frame.recorder:
        from agent_runtime.transcripts.writer import RecordingTransport

        return RecordingTransport(
            transport, life.frame.recorder, provider=endpoint.provider, format=endpoint.format
        )
    return transport
