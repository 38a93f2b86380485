"""Sends model requests with httpx2 and reads the streams of events that answer them. Imported at the first call."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any
from urllib.request import getproxies

import anyio
import httpx2

from agent_runtime.agent.trace import trace_headers
from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import WireFormat
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.errors import cut, map_error
from agent_runtime.providers.headers import auth_headers, default_headers
from agent_runtime.providers.http_errors import lower_case, map_http_error, map_status, request_id
from agent_runtime.providers.json_body import json_of
from agent_runtime.providers.response_body import whole_or_events
from agent_runtime.providers.sse import EventDecoder
from agent_runtime.providers.tls import trusted

_PATHS: dict[WireFormat, str] = {
    "anthropic": "/v1/messages",
    "openai-responses": "/responses",
    "openai-chat": "/chat/completions",
}
_KEEP_IDLE = 20.0  # seconds for which an idle connection may be used again: most tools take less
_DRAIN = (
    0.5  # seconds for the end of a body behind its last event, without which its connection is not used again
)
# a peer that is gone is noticed, and NAT gateways keep the connection while the model thinks
_TCP_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 5),
)


class EventClient:
    """The connections to one endpoint. Proxies and certificates come from the environment.

    Args:
        endpoint: where requests go.
        connect_timeout: seconds until a connection is established.
        http_client: makes the httpx2.AsyncClient to use, for tests.

    Raises:
        Exception: of httpx2, for an invalid proxy, certificate or URL.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        connect_timeout: float,
        http_client: Callable[[], httpx2.AsyncClient] | None = None,
    ) -> None:
        self._url = httpx2.URL(endpoint.base_url + _PATHS[endpoint.format])
        if endpoint.query:
            self._url = self._url.copy_merge_params(endpoint.query)
        self._address = _without_userinfo(endpoint.base_url)
        self._headers = _headers(endpoint)
        self._timeout = httpx2.Timeout(None, connect=connect_timeout)
        self._http = http_client() if http_client else _client(self._url)
        self._http.follow_redirects = True
        self._http.event_hooks = {"request": [self._same_origin], "response": []}

    async def events(self, body: dict[str, Any]) -> AsyncGenerator[Any, None]:
        """POST the body; yield the decoded data of each event, pings left out. Raises ProviderError."""
        content = _encoded(body)
        try:
            request = self._http.build_request(
                "POST",
                self._url,
                content=content,
                headers=self._headers | trace_headers(),
                timeout=self._timeout,
                extensions={"trace": _keep_alive},
            )
            response = await self._http.send(request, stream=True)
            try:
                if not response.is_success:
                    raise await map_status(response)
                async for data in _data(response):
                    yield data
            finally:
                await response.aclose()
        except ProviderError:
            raise
        except Exception as error:
            raise map_http_error(error, self._address) from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _same_origin(self, request: httpx2.Request) -> None:
        """Redirects are followed within the origin: the key is for this one."""
        if request.url.origin != self._url.origin:
            message = f"{self._address} redirects to {_without_userinfo(str(request.url))}; use that as the base URL"
            raise ProviderError("provider_error", message, retryable=False)


def _headers(endpoint: Endpoint) -> dict[str, str]:
    auth = {}
    if endpoint.api_key:
        auth = auth_headers(
            endpoint.base_url,
            endpoint.query,
            endpoint.format,
            endpoint.api_key,
            is_token=endpoint.key_is_token,
        )
    return default_headers(endpoint.format) | auth | endpoint.headers


def _client(url: httpx2.URL) -> httpx2.AsyncClient:
    uses_tls = url.scheme == "https" or any(proxy.startswith("https:") for proxy in getproxies().values())
    limits = httpx2.Limits(keepalive_expiry=_KEEP_IDLE)
    return httpx2.AsyncClient(verify=trusted() if uses_tls else False, limits=limits)


async def _keep_alive(event: str, info: dict[str, Any]) -> None:
    if event == "connection.connect_tcp.complete":
        connection = info["return_value"].get_extra_info("socket")
        for option in _TCP_KEEPALIVE:
            connection.setsockopt(*option)


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return json_of(body)
    except ValueError as error:
        message = f"the request could not be sent: {error}"
        raise ProviderError("provider_error", message, retryable=False) from error


async def _data(response: httpx2.Response) -> AsyncIterator[Any]:
    whole, pieces = await whole_or_events(response)
    if whole:
        yield json.loads(whole)
        return
    decoder = EventDecoder()
    async for piece in pieces:
        for name, data in decoder.feed(piece):
            if data.startswith("[DONE]"):
                with anyio.move_on_after(_DRAIN):
                    async for _ in pieces:
                        pass
                return
            if name != "ping":
                yield _parsed(name, data, response)
    for name, data in decoder.finish():
        if not data.startswith("[DONE]") and name != "ping":
            yield _parsed(name, data, response)


def _parsed(name: str, data: str, response: httpx2.Response) -> Any:
    """The data of an event. Raises ProviderError for an error, and for what is not JSON."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        if name == "error":
            raise map_error(data) from None
        raise cut(f"the provider's stream holds an invalid event: {error}") from None
    if name == "error":
        headers = lower_case(response)
        raise map_error(value, headers=headers, request_id=request_id(headers))
    return value


def _without_userinfo(url: str) -> str:
    parts = httpx2.URL(url)
    return str(parts.copy_with(userinfo=b"", query=None, fragment=None)).rstrip("/")
