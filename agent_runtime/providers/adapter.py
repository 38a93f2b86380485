"""One attempt of a model call: a wire format and a transport combined. `retry` adds retries and fallbacks."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

import anyio

from agent_runtime.agent.model import Decoder, DroppedParameter, ModelCall, OnDelta, Transport, Turn, Wire
from agent_runtime.errors import ProviderError
from agent_runtime.providers.errors import cut
from agent_runtime.providers.json_body import BodyEncoder

P = ParamSpec("P")
T = TypeVar("T")
OnDropped = Callable[[DroppedParameter], Awaitable[None]]

# seconds to wait for what may follow the end of a turn (usage, a closing event)
LINGER = 3.0

MAX_LESSONS = 8  # requests that are made again for one call, each without something that was refused


class Adapter:
    """One turn from one endpoint.

    Args:
        wire: the format, pure.
        transport: sends the body, yields raw chunks.
        on_dropped: called once for each parameter that the model does not accept.
        linger: see LINGER.
    """

    def __init__(
        self,
        wire: Wire,
        transport: Transport,
        *,
        on_dropped: OnDropped | None = None,
        linger: float = LINGER,
    ) -> None:
        self.wire = wire
        self._transport = transport
        self._on_dropped = on_dropped
        self._linger = linger
        self._reported: set[str] = set()
        self._encoder = BodyEncoder()

    async def turn(self, call: ModelCall, on_delta: OnDelta) -> Turn:
        """Send the call, decode the answer. Raises ProviderError.

        A request that is refused for a parameter is made again without it; what is learned holds for later calls.
        """
        wire = self.wire
        for number in itertools.count():
            body, dropped = wire.encode(call)
            await self._report(dropped)
            body = self._encoder.encode(body)
            try:
                turn = await self._exchange(wire, call, body, on_delta)
            except ProviderError as error:
                is_final = error.retryable or number == MAX_LESSONS
                adapted = None if is_final else wire.adapted(error, body)
                if adapted is None:
                    if error.retryable:
                        self.wire = wire
                    raise
                wire = adapted
            else:
                self.wire = wire  # the request without it was accepted
                return turn

        raise AssertionError("unreachable")

    async def _exchange(self, wire: Wire, call: ModelCall, body: dict[str, Any], on_delta: OnDelta) -> Turn:
        decoder = wire.decoder(call)
        stream = self._transport.stream(body)
        try:
            while (chunk := await self._next(stream, decoder)) is not None:
                for delta in _read(decoder.feed, chunk):
                    await on_delta(delta)
        finally:
            await _close(stream)
        return _read(decoder.finish)

    async def _next(self, stream: AsyncIterator[dict[str, Any]], decoder: Decoder) -> dict[str, Any] | None:
        if not decoder.complete:
            return await anext(stream, None)
        # nothing is lost by a connection that breaks after the end of the turn
        with anyio.move_on_after(self._linger), suppress(ProviderError):
            return await anext(stream, None)
        return None

    async def _report(self, dropped: Sequence[DroppedParameter]) -> None:
        for item in dropped:
            if self._on_dropped is not None and item.parameter not in self._reported:
                self._reported.add(item.parameter)
                await self._on_dropped(item)


def _read(decode: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Decode. An unexpected exception means that the provider's stream has a form that no decoder knows."""
    try:
        return decode(*args, **kwargs)
    except ProviderError:
        raise
    except Exception as error:
        raise cut(
            f"the provider's stream does not have the expected format ({type(error).__name__}: {error})"
        ) from error


async def _close(stream: AsyncIterator[dict[str, Any]]) -> None:
    """Close a generator now, not when it is collected; also when cancelled, but then not for long."""
    close = getattr(stream, "aclose", None)
    if close is not None:
        with anyio.move_on_after(1, shield=True):
            await close()
