"""The model of a run: adapters with their transports (live, recorded or replayed) behind one retry policy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio

from agent_runtime.agent.model import DroppedParameter, Model, Transport, Wire
from agent_runtime.engine.context import RunContext
from agent_runtime.engine.tracing import TracedModel
from agent_runtime.errors import ProviderError
from agent_runtime.lazy import dataclass
from agent_runtime.output.masking import is_common
from agent_runtime.protocol import events
from agent_runtime.providers.adapter import Adapter
from agent_runtime.providers.connect import connect, wire_for
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.retry import Candidate, Refit, ResilientModel, RetryPolicy
from agent_runtime.providers.transport import LiveTransport, StreamTimeouts
from agent_runtime.transcripts.player import ReplayTransport, ReplayWire
from agent_runtime.transcripts.prompts import RecordedPrompts
from agent_runtime.transcripts.recording_transport import RecordingTransport


@dataclass(frozen=True)
class ModelConnections:
    """The transports of a run's models that have connections; none in a replay."""

    transports: Sequence[LiveTransport]

    async def aclose(self) -> None:
        """Close all connections; a later call opens new ones."""
        for transport in self.transports:
            await transport.aclose()

    def rekey(self, keys: Mapping[str, str]) -> None:
        """Use other keys from now on, by the names of their variables."""
        for transport in self.transports:
            transport.rekey(keys)


def build_model(ctx: RunContext, refit: Refit) -> tuple[ResilientModel, ModelConnections]:
    """Build the model of a run, with one transport per configured model, and return it with its connections.

    `refit` shortens a call for a fallback model.
    """
    endpoints = ctx.config.endpoints
    limits = StreamTimeouts.of(ctx.config.limits)
    live = [] if ctx.player else [_connection(ctx, endpoint, limits) for endpoint in endpoints]
    transports = [
        _transport(ctx, endpoint, live[index] if live else None) for index, endpoint in enumerate(endpoints)
    ]
    notices = _ModelNotices(ctx)
    candidates = [
        Candidate(
            endpoint.model,
            Adapter(_wire(ctx, endpoint), transport, on_dropped=notices.dropped),
            f"{endpoint.provider}:{endpoint.model}",
            endpoint.context_window,
            endpoint.max_output,
        )
        for endpoint, transport in zip(endpoints, transports, strict=True)
    ]
    model = ResilientModel(
        candidates,
        policy=RetryPolicy(max_retries=ctx.config.limits.max_retries),
        report=notices.failed,
        on_fallback=notices.fell_back,
        refit=refit,
        gate=ctx.gate,
        sleep=_sleep(ctx),
    )
    return model, ModelConnections(live)


def observed_model(ctx: RunContext, model: Model) -> Model:
    """Wrap the model for recording its prompts, for comparing them with those of a replayed run, and for tracing."""
    if ctx.replay:
        model = ctx.replay.compared(model, ctx.config, ctx.sink.emit)
    if ctx.recorder:
        model = RecordedPrompts(model, ctx.recorder)
    if ctx.tracing.is_on:
        model = TracedModel(model, ctx.config.endpoints[0].provider, ctx.tracing.has_content)
    return model


@dataclass(frozen=True)
class _ModelNotices:
    """Emits events about retries, fallbacks and dropped parameters."""

    ctx: RunContext

    async def failed(self, error: ProviderError, attempt: int, wait: int) -> None:
        """A failed call will be retried after `wait` milliseconds."""
        self.ctx.heartbeat.awaiting("retry")
        await self.ctx.sink.emit(
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
        """The run continues with the next model."""
        message = f"{failed.label} is {error.code.replace('_', ' ')}; {now.label} is used from now on"
        details = {"from": failed.label, "to": now.label}
        await self.ctx.sink.emit(events.NoticeEvent(code="fallback_model", message=message, details=details))

    async def dropped(self, parameter: DroppedParameter) -> None:
        """A parameter was left out because the model does not accept it."""
        message = f"`{parameter.parameter}`: {parameter.reason}"
        details = {"parameter": parameter.parameter}
        await self.ctx.sink.emit(
            events.NoticeEvent(code="parameter_dropped", message=message, details=details)
        )


def _sleep(ctx: RunContext) -> Callable[[float], Awaitable[None]]:
    async def sleep(seconds: float) -> None:
        with ctx.gate.idle():
            await (ctx.player.wait(seconds * 1000) if ctx.player else anyio.sleep(seconds))

    return sleep


def _wire(ctx: RunContext, endpoint: Endpoint) -> Wire:
    wire = wire_for(endpoint)
    return ReplayWire(wire) if ctx.player and not ctx.recorder else wire


def _connection(ctx: RunContext, endpoint: Endpoint, limits: StreamTimeouts) -> LiveTransport:
    def mask(secrets: Sequence[str]) -> None:
        ctx.masker.add([secret for secret in secrets if not is_common(secret)])

    return connect(endpoint, limits=limits, report_secrets=mask)


def _transport(ctx: RunContext, endpoint: Endpoint, live: LiveTransport | None) -> Transport:
    transport: Transport | None = live
    if ctx.player:
        transport = ReplayTransport(ctx.player, format=endpoint.format)
    assert transport
    if ctx.recorder:
        return RecordingTransport(transport, ctx.recorder, provider=endpoint.provider, format=endpoint.format)
    return transport
