"""The live transport: sends one request and yields the raw chunks of the answer, with time limits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from agent_runtime.agent.limits import CONNECT_SECONDS, Limits
from agent_runtime.errors import ProviderError
from agent_runtime.lazy import dataclass
from agent_runtime.providers.endpoints import Endpoint, rekeyed
from agent_runtime.providers.errors import cut

if TYPE_CHECKING:
    from agent_runtime.providers.http import EventClient

_SETUP = 30.0  # seconds for what precedes a connection: importing modules, asking a metadata server for the project


@dataclass(frozen=True)
class StreamTimeouts:
    """How long a call may go without progress, in seconds. They never end a stream that is slow but makes progress.

    connect: until the connection is established. first: from the call to the first chunk with content.
    between: from one such chunk to the next. Pings, comments and empty pieces have no content.
    """

    connect: float = CONNECT_SECONDS
    first: float = 300.0
    between: float = 300.0

    @classmethod
    def of(cls, limits: Limits) -> StreamTimeouts:
        """Return the timeouts of a run's limits."""
        default = limits.model_timeout
        return cls(
            limits.connect_timeout or default,
            limits.first_token_timeout or default,
            limits.between_tokens_timeout or default,
        )


class LiveTransport:
    """Sends bodies to one endpoint. The modules for HTTP are imported at the first call, in a thread.

    Closing it drops its connections; the next call makes new ones.

    Args:
        endpoint: where to send them.
        timeouts: how long to wait for progress.
        report_secrets: is called with secrets of credentials, which are found at the first call and change later.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        timeouts: StreamTimeouts | None = None,
        report_secrets: Callable[[Sequence[str]], None] = lambda secrets: None,
    ) -> None:
        self._endpoint = endpoint
        self._report_secrets = report_secrets
        self._timeouts = timeouts or StreamTimeouts()
        self._client: EventClient | None = None
        self._waiting: set[anyio.CancelScope] = set()

    async def stream(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The chunks of the answer. Raises ProviderError."""
        if self._endpoint.needs_key and not self._endpoint.api_key:
            where = self._endpoint.key_variable
            message = f"no API key: {where} is not set; export it, or give the key as model.apiKey"
            raise ProviderError("authentication_error", message, retryable=False)
        client = await self._connected()
        try:
            async for chunk in self._watched(client, body):
                yield chunk
        except ProviderError as error:
            if client is not self._client:
                raise cut("the connection was closed") from error
            raise

    async def aclose(self) -> None:
        """Close the connections. A call that waits for one fails with a retryable ProviderError."""
        client, self._client = self._client, None
        waiting, self._waiting = self._waiting, set()
        for scope in waiting:
            scope.cancel()
        if client is not None:
            await client.aclose()

    def rekey(self, keys: Mapping[str, str]) -> None:
        """Use the key among these, by the names of their variables, that is the provider's. Needs an `aclose` first."""
        self._endpoint = rekeyed(self._endpoint, keys)

    async def _connected(self) -> EventClient:
        if self._client is None:
            with anyio.move_on_after(_SETUP):
                # an import cannot be cancelled, only abandoned
                self._client = await anyio.to_thread.run_sync(self._connect, abandon_on_cancel=True)
                return self._client
            message = f"the connection to {self._endpoint.provider} was not prepared within {_SETUP:g} s"
            raise ProviderError("provider_timeout", message, retryable=True)
        return self._client

    def _connect(self) -> EventClient:
        from agent_runtime.providers.http import EventClient

        try:
            return EventClient(
                self._endpoint,
                connect_timeout=self._timeouts.connect,
                report_secrets=self._report_secrets,
            )
        except ProviderError:
            raise
        except Exception as error:  # an invalid proxy or certificate in the environment
            message = f"no connection can be made to {self._endpoint.provider}: {error}"
            raise ProviderError("provider_error", message, retryable=False) from error

    async def _watched(
        self, client: EventClient, body: dict[str, Any]
    ) -> AsyncGenerator[dict[str, Any], None]:
        silence = _Silence("firstTokenTimeout", self._timeouts.first)
        deadline = anyio.current_time() + silence.limit
        stream = client.events(body)
        waiting = anyio.CancelScope()
        chunk: Any = None
        try:
            while True:
                with anyio.move_on_at(deadline) as waiting:
                    self._waiting.add(waiting)
                    try:
                        chunk = await anext(stream)
                    except StopAsyncIteration:
                        return
                if waiting.cancelled_caught:
                    raise silence.error() if waiting in self._waiting else cut("the connection was closed")
                self._waiting.discard(waiting)
                if not isinstance(chunk, dict):
                    raise cut("the stream contains an event that is not a JSON object")
                if progresses(chunk):
                    silence = _Silence("betweenTokensTimeout", self._timeouts.between)
                    deadline = anyio.current_time() + silence.limit
                yield chunk
        finally:
            self._waiting.discard(waiting)
            with anyio.move_on_after(1, shield=True):
                await stream.aclose()


@dataclass(frozen=True)
class _Silence:
    """The limit for the next progress, by its name in the request's `config`."""

    name: str
    limit: float

    def error(self) -> ProviderError:
        return ProviderError(
            "provider_timeout",
            f"no progress from the model for {self.limit:g} s",
            retryable=True,
            details={"limit": self.name},
        )


_IDLE = frozenset({"ping", "keepalive", "response.in_progress", "response.queued"})


def progresses(chunk: dict[str, Any]) -> bool:
    """Return whether the chunk has content. Keep-alives and empty pieces have none."""
    kind = chunk.get("type")
    if isinstance(kind, str):
        delta = chunk.get("delta")
        if isinstance(delta, dict):
            return any(value for name, value in delta.items() if name != "type")
        return bool(delta) if isinstance(delta, str) else kind not in _IDLE
    if chunk.get("error") or chunk.get("usage"):
        return True
    choices = chunk.get("choices")
    return any(map(_has_content, choices)) if isinstance(choices, list) else bool(choices)


def _has_content(choice: Any) -> bool:
    """Return whether an entry of `choices` has content. One of another form counts: the decoder refuses it."""
    if not isinstance(choice, dict):
        return True
    delta = choice.get("delta") or choice.get("message") or {}
    if choice.get("finish_reason") or not isinstance(delta, dict):
        return True
    return any(value for name, value in delta.items() if name != "role")
