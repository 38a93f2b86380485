"""The client of the anthropic SDK, which no other module imports. Loaded at the first call: see `transport`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx2
from anthropic._streaming import ServerSentEvent

from agent_runtime.errors import ProviderError
from agent_runtime.providers.address import auth_headers
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.errors import cut, map_error
from agent_runtime.providers.http_errors import map_http_error
from agent_runtime.providers.response_body import whole_or_events
from agent_runtime.providers.tls import trusted
from agent_runtime.providers.transport import StreamTimeouts


class _Events(anthropic.AsyncStream[object]):
    """The SDK's stream. It accepts events without names, a final [DONE], and whole answers too."""

    async def _iter_events(self) -> AsyncIterator[ServerSentEvent]:
        whole, pieces = await whole_or_events(self.response)
        if whole:
            yield ServerSentEvent(event="message", data=whole)
            return
        async for event in self._decoder.aiter_bytes(pieces):
            if event.data.strip() and not event.data.startswith("[DONE]"):
                yield event if event.event else ServerSentEvent(event="message", data=event.data)


class AnthropicClient:
    """The SDK's client for one endpoint."""

    def __init__(self, sdk: anthropic.AsyncAnthropic) -> None:
        self._sdk = sdk

    async def open(self, body: dict[str, Any]) -> AsyncIterator[Any]:
        """POST /v1/messages; yields the data of every event but pings, as plain objects."""
        return await self._sdk.post(
            "/v1/messages", body=body, cast_to=object, stream=True, stream_cls=_Events
        )

    async def aclose(self) -> None:
        """Close its connections."""
        await self._sdk.close()

    def map_error(self, error: Exception) -> ProviderError:
        """Convert an error of the SDK to a ProviderError."""
        if isinstance(error, anthropic.APIStatusError):
            # an error event inside a stream comes as a status error too, with the stream's own 200
            status = error.status_code if error.status_code >= 300 else None
            headers = {name.lower(): value for name, value in error.response.headers.items()}
            fallback = f"HTTP {error.status_code} {error.response.reason_phrase}"
            return map_error(
                error.body, status=status, headers=headers, request_id=error.request_id, fallback=fallback
            )
        if isinstance(error, anthropic.APIResponseValidationError):
            return cut(f"the provider's answer is not of its format: {error.message}")
        if isinstance(error, anthropic.CredentialsError):
            return ProviderError("authentication_error", str(error), retryable=False)
        return map_http_error(error)


def connect(
    endpoint: Endpoint, timeouts: StreamTimeouts, http_client: httpx2.AsyncClient | None
) -> AnthropicClient:
    """The client. Proxies and certificates come from the environment."""
    headers = auth_headers(endpoint.base_url, endpoint.query, endpoint.format, endpoint.api_key or "")
    sent: dict[str, Any] = {name: value or anthropic.Omit() for name, value in headers.items()}
    return AnthropicClient(
        anthropic.AsyncAnthropic(
            api_key=endpoint.api_key or "none",
            base_url=endpoint.base_url,
            max_retries=0,  # `retry` makes them, and reports them
            timeout=anthropic.Timeout(None, connect=timeouts.connect),
            default_headers=sent,
            default_query=endpoint.query,
            http_client=http_client or anthropic.DefaultAsyncHttpxClient(verify=trusted()),
        )
    )
