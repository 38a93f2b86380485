"""The client of the openai SDK, which no other module imports. Loaded at the first call: see `transport`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai
from openai._streaming import ServerSentEvent

from agent_runtime.errors import ProviderError
from agent_runtime.providers.address import auth_headers
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.errors import cut, map_error
from agent_runtime.providers.http_errors import map_http_error
from agent_runtime.providers.response_body import whole_or_events
from agent_runtime.providers.tls import trusted
from agent_runtime.providers.transport import StreamTimeouts

_PATHS = {"openai-responses": "/responses", "openai-chat": "/chat/completions"}


class _Events(openai.AsyncStream[object]):
    """The SDK's stream. It accepts empty events too, which some providers send to keep it alive, and whole answers."""

    async def _iter_events(self) -> AsyncIterator[ServerSentEvent]:
        whole, pieces = await whole_or_events(self.response)
        if whole:
            yield ServerSentEvent(event="message", data=whole)
            return
        async for event in self._decoder.aiter_bytes(pieces):
            if event.data.strip():
                yield event


class OpenAIClient:
    """The SDK's client for one endpoint."""

    def __init__(self, sdk: openai.AsyncOpenAI, path: str) -> None:
        self._sdk = sdk
        self._path = path

    async def open(self, body: dict[str, Any]) -> AsyncIterator[Any]:
        """POST the body; yields the data of every event as plain objects, error events included."""
        return await self._sdk.post(
            self._path,
            body=body,
            cast_to=object,
            stream=True,
            stream_cls=_Events,
            options={"stream_mode": "events"},
        )

    async def aclose(self) -> None:
        """Close its connections."""
        await self._sdk.close()

    def map_error(self, error: Exception) -> ProviderError:
        """What an error of the SDK means."""
        if isinstance(error, openai.APIStatusError):
            status = error.status_code if error.status_code >= 300 else None
            headers = {name.lower(): value for name, value in error.response.headers.items()}
            fallback = f"HTTP {error.status_code} {error.response.reason_phrase}"
            id = error.request_id or headers.get("request-id") or headers.get("x-groq-request-id")
            return map_error(error.body, status=status, headers=headers, request_id=id, fallback=fallback)
        if isinstance(error, openai.APIResponseValidationError):
            return cut(f"the provider's answer is not of its format: {error.message}")
        if isinstance(error, openai.APIConnectionError):
            return map_http_error(error)
        if isinstance(error, openai.APIError):
            return map_error(error.body, fallback=error.message)
        return map_http_error(error)


def connect(
    endpoint: Endpoint, timeouts: StreamTimeouts, http_client: httpx2.AsyncClient | None
) -> OpenAIClient:
    """The client. Proxies and certificates come from the environment."""
    headers = auth_headers(endpoint.base_url, endpoint.query, endpoint.format, endpoint.api_key or "")
    sent: dict[str, Any] = {name: value or openai.Omit() for name, value in headers.items()}
    sdk = openai.AsyncOpenAI(
        api_key=endpoint.api_key or "none",
        base_url=endpoint.base_url,
        default_headers=sent,
        default_query=endpoint.query,
        max_retries=0,  # `retry` makes them, and reports them
        timeout=openai.Timeout(None, connect=timeouts.connect),
        http_client=http_client or openai.DefaultAsyncHttpxClient(verify=trusted()),
    )
    return OpenAIClient(sdk, _PATHS[endpoint.format])
