"""Requests by httpx2: over the proxies of the environment, and to every URL that it can parse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.request import getproxies

import httpx2

from agent_runtime.errors import ProviderError
from agent_runtime.providers.address import without_userinfo
from agent_runtime.providers.http_errors import invalid_event, not_connected, not_sent, timed_out, words
from agent_runtime.providers.tcp_options import KEEP_IDLE, TCP_KEEPALIVE
from agent_runtime.providers.tls import trusted

_OURS = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.InvalidURL, UnicodeEncodeError)


class HttpxClient:
    """See HttpClient. Proxies and certificates come from the environment.

    Args:
        url: of the endpoint.
        query: parameters that are added to those of the URL.
        address: the base URL of the endpoint, without secrets.
        connect_timeout: seconds until a connection is established.

    Raises:
        Exception: of httpx2, for an invalid proxy, certificate or URL.
    """

    def __init__(
        self,
        url: str,
        query: Mapping[str, str],
        *,
        address: str,
        connect_timeout: float,
    ) -> None:
        self._url = httpx2.URL(url)
        if query:
            self._url = self._url.copy_merge_params(dict(query))
        self._address = address
        self._timeout = httpx2.Timeout(None, connect=connect_timeout)
        self._http = _client(self._url)
        self._http.follow_redirects = True
        self._http.event_hooks = {"request": [self._same_origin], "response": []}

    async def post(self, content: bytes, headers: Mapping[str, str]) -> httpx2.Response:
        """See HttpClient."""
        request = self._http.build_request(
            "POST",
            self._url,
            content=content,
            headers=dict(headers),
            timeout=self._timeout,
            extensions={"trace": _keep_alive},
        )
        return await self._http.send(request, stream=True)

    def error(self, error: Exception) -> ProviderError | None:
        """See HttpClient."""
        address = self._address
        if isinstance(error, httpx2.ConnectTimeout):
            return timed_out(f"connecting to {address}", error, {"limit": "connectTimeout"})
        if isinstance(error, httpx2.TimeoutException):
            return timed_out(address, error)
        if isinstance(error, _OURS):
            return not_sent(error)
        if isinstance(error, httpx2.ProxyError):
            message = f"the proxy to {address} answered with an error: {words(error)}"
            return ProviderError("provider_error", message, retryable=True)
        if isinstance(error, httpx2.DecodingError):
            return invalid_event(error)
        return not_connected(address, error) if isinstance(error, httpx2.TransportError) else None

    async def aclose(self) -> None:
        """See HttpClient."""
        await self._http.aclose()

    async def _same_origin(self, request: httpx2.Request) -> None:
        """Follow redirects within the origin only, for which alone the key is meant."""
        if request.url.origin != self._url.origin:
            here, there = (
                without_userinfo(str(self._url.copy_with(path="/"))),
                without_userinfo(str(request.url)),
            )
            message = f"{here} redirects to {there}; use that as the base URL"
            raise ProviderError("provider_error", message, retryable=False)


def _client(url: httpx2.URL) -> httpx2.AsyncClient:
    uses_tls = url.scheme == "https" or any(proxy.startswith("https:") for proxy in getproxies().values())
    limits = httpx2.Limits(keepalive_expiry=KEEP_IDLE)
    return httpx2.AsyncClient(verify=trusted() if uses_tls else False, limits=limits)


async def _keep_alive(event: str, info: dict[str, Any]) -> None:
    if event == "connection.connect_tcp.complete":
        connection = info["return_value"].get_extra_info("socket")
        for option in TCP_KEEPALIVE:
            connection.setsockopt(*option)
