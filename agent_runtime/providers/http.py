"""Sends model requests and reads the streams of events that answer them. Imported at the first call."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import anyio

from agent_runtime.agent.trace import trace_headers
from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import WireFormat
from agent_runtime.providers.address import without_userinfo
from agent_runtime.providers.authorization import Authorization, Credentials, credentials_of
from agent_runtime.providers.aws_events import CONTENT_TYPE, AwsEventDecoder
from agent_runtime.providers.direct_http import DirectClient
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.errors import cut, map_error
from agent_runtime.providers.headers import auth_headers, default_headers, key_headers
from agent_runtime.providers.http_errors import lower_case, map_status, other_error, request_id
from agent_runtime.providers.http_response import HttpClient, HttpResponse
from agent_runtime.providers.json_body import json_of
from agent_runtime.providers.response_body import whole_or_events
from agent_runtime.providers.sse import EventDecoder
from agent_runtime.providers.tls import trusted

_PATHS: dict[WireFormat, str] = {
    "anthropic": "/v1/messages",
    "openai-responses": "/responses",
    "openai-chat": "/chat/completions",
}
# seconds to wait for the end of a body after its last event; otherwise the connection cannot be reused
_DRAIN = 0.5


class EventClient:
    """The connections to one endpoint. Proxies and certificates come from the environment.

    Args:
        endpoint: where requests go.
        connect_timeout: seconds until a connection is established.
        report_secrets: is called with secrets that are not in the endpoint: access tokens, keys of credentials.

    Raises:
        ProviderError: there are no credentials, or no project.
        Exception: for an invalid proxy, certificate or URL.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        connect_timeout: float,
        report_secrets: Callable[[Sequence[str]], None],
    ) -> None:
        credentials = credentials_of(endpoint)
        url = endpoint.base_url + _path(endpoint, credentials)
        self._url = f"{url}?{urlencode(endpoint.query, quote_via=quote)}" if endpoint.query else url
        self._headers = _headers(endpoint)
        self._http = _client(endpoint, url, connect_timeout)
        self._authorization = (
            Authorization(credentials, without_userinfo(endpoint.base_url), report_secrets)
            if credentials
            else None
        )

    async def events(self, body: dict[str, Any]) -> AsyncGenerator[Any, None]:
        """POST the body; yield the decoded data of each event, pings left out. Raises ProviderError."""
        content = _encoded(body)
        try:
            response = await self._post(content)
            try:
                if not 200 <= response.status_code < 300:
                    raise await map_status(response)
                async for data in _data(response):
                    yield data
            finally:
                await response.aclose()
        except ProviderError:
            raise
        except Exception as error:
            raise self._http.error(error) or other_error(error) from error

    async def _post(self, content: bytes) -> HttpResponse:
        headers = self._headers | trace_headers()
        if self._authorization is None:
            return await self._http.post(content, headers)
        response = await self._http.post(
            content, await self._authorization.headers(self._url, content) | headers
        )
        if self._authorization.renews(response.status_code, lower_case(response)):
            await response.aclose()
            authorized = await self._authorization.headers(self._url, content)
            response = await self._http.post(content, authorized | headers)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _client(endpoint: Endpoint, url: str, timeout: float) -> HttpClient:
    address = without_userinfo(endpoint.base_url)
    if not endpoint.query and not _has_proxy() and DirectClient.can_reach(url):
        return DirectClient(url, address=address, connect_timeout=timeout, tls=trusted)
    from agent_runtime.providers.httpx_client import HttpxClient  # noqa: PLC0415 -- takes 50 ms

    return HttpxClient(url, endpoint.query, address=address, connect_timeout=timeout)


def _path(endpoint: Endpoint, credentials: Credentials | None) -> str:
    """The path behind the base URL. Raises ProviderError when it needs a project, and there is none."""
    platform, model = endpoint.provider_row.platform, quote(endpoint.model, safe=":@")
    if platform == "bedrock":
        return f"/model/{model}/invoke-with-response-stream"
    if platform != "vertex":
        return _PATHS[endpoint.format]
    project = endpoint.project or (credentials.project if credentials else "")
    if not project:
        message = (
            "no project of Google Cloud: set ANTHROPIC_VERTEX_PROJECT_ID; the credentials do not name one"
        )
        raise ProviderError("authentication_error", message, retryable=False)
    place = f"/projects/{quote(project, safe=':')}/locations/{endpoint.region}"
    return f"{place}/publishers/anthropic/models/{model}:streamRawPredict"


def _headers(endpoint: Endpoint) -> dict[str, str]:
    row, auth = endpoint.provider_row, {}
    if endpoint.api_key and row.key_headers and not endpoint.key_is_token:
        auth = key_headers(row.key_headers, endpoint.api_key)
    elif endpoint.api_key:
        auth = auth_headers(
            endpoint.base_url,
            endpoint.query,
            endpoint.format,
            endpoint.api_key,
            is_token=endpoint.key_is_token,
        )
    return default_headers(endpoint.format, row.platform) | auth | endpoint.headers


def _has_proxy() -> bool:
    """Return whether the environment names a proxy, for whichever hosts, in a variable of either case."""
    names = (name.lower() for name, value in os.environ.items() if value)
    return any(name.endswith("_proxy") and name != "no_proxy" for name in names)


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return json_of(body)
    except ValueError as error:
        message = f"the request could not be sent: {error}"
        raise ProviderError("provider_error", message, retryable=False) from error


async def _data(response: HttpResponse) -> AsyncIterator[Any]:
    whole, pieces = await whole_or_events(response)
    if whole:
        yield json.loads(whole)
        return
    is_aws = response.headers.get("content-type", "").startswith(CONTENT_TYPE)
    decoder = AwsEventDecoder() if is_aws else EventDecoder()
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


def _parsed(name: str, data: str, response: HttpResponse) -> Any:
    """The data of an event. Raises ProviderError for an error, and for what is not JSON."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        if name == "error":
            raise map_error(data) from None
        raise cut(f"the provider's stream contains an invalid event: {error}") from None
    if name == "error":
        headers = lower_case(response)
        raise map_error(value, headers=headers, request_id=request_id(headers))
    return value
