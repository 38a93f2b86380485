"""Converts errors of HTTP: a status of failure, no connection, a broken one, bytes that are not a stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress

import httpx2

from agent_runtime.errors import ProviderError
from agent_runtime.providers.errors import cut, map_error

_MAX_BODY = 1 << 20  # bytes of an error's body that are read
_REQUEST_IDS = ("request-id", "x-request-id", "x-groq-request-id")
_OURS = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.InvalidURL, UnicodeEncodeError)


async def map_status(response: httpx2.Response) -> ProviderError:
    """The error that a response with a status of failure means. Its body is read as far as it comes."""
    content = bytearray()
    with suppress(httpx2.HTTPError):
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > _MAX_BODY:
                break
    text = content.decode(errors="replace")
    body: object = text
    with suppress(ValueError, RecursionError):
        body = json.loads(text)
    headers = lower_case(response)
    return map_error(
        body,
        status=response.status_code,
        headers=headers,
        request_id=request_id(headers),
        fallback=f"HTTP {response.status_code} {response.reason_phrase}".rstrip(),
    )


def map_http_error(error: Exception, address: str) -> ProviderError:
    """The error for an exception of the HTTP library.

    Args:
        error: what was raised while a request was sent or its answer was read.
        address: the base URL of the endpoint, without secrets.
    """
    words = str(error) or type(error).__name__
    if isinstance(error, httpx2.TimeoutException):
        connecting = isinstance(error, httpx2.ConnectTimeout)
        where = f"connecting to {address}" if connecting else address
        limit = {"limit": "connectTimeout"} if connecting else None
        message = f"{where} took too long ({words})"
        return ProviderError("provider_timeout", message, retryable=True, details=limit)
    if isinstance(error, _OURS):
        return ProviderError("provider_error", f"the request could not be sent: {words}", retryable=False)
    if isinstance(error, httpx2.ProxyError):
        return ProviderError(
            "provider_error", f"the proxy to {address} answered with an error: {words}", retryable=True
        )
    if isinstance(error, httpx2.DecodingError | UnicodeDecodeError):
        return cut(f"the provider's stream holds an invalid event: {words}")
    if isinstance(error, httpx2.TransportError):
        if _was_refused(error):
            message = f"{address} refused the connection: is the server running?"
        else:
            message = f"the connection to {address} failed: {words}"
        return ProviderError("provider_error", message, retryable=True)
    if isinstance(error, ValueError):
        return cut(f"the provider's stream is not of its format: {words}")
    return ProviderError("provider_error", f"{type(error).__name__}: {words}", retryable=False)


def lower_case(response: httpx2.Response) -> dict[str, str]:
    """The headers of a response, names in lower case."""
    return {name.lower(): value for name, value in response.headers.items()}


def request_id(headers: Mapping[str, str]) -> str | None:
    """The provider's id of a request, from the headers of its response."""
    return next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)


def _was_refused(error: BaseException | None) -> bool:
    """Return whether the causes are refused connections, and nothing else."""
    while error is not None:
        if isinstance(error, BaseExceptionGroup):
            return all(map(_was_refused, error.exceptions))
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False
