"""Converts errors of the HTTP connection: no connection, a broken one, bytes that are not a stream."""

from __future__ import annotations

import json

import httpx2

from agent_runtime.errors import ProviderError
from agent_runtime.providers.errors import cut

_OURS = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.InvalidURL, UnicodeEncodeError)


def map_http_error(error: Exception) -> ProviderError:
    """An error of the HTTP library, whether an SDK has wrapped it or not."""
    cause = _cause(error)
    words = str(cause) or type(cause).__name__
    if isinstance(cause, httpx2.TimeoutException):
        connecting = isinstance(cause, httpx2.ConnectTimeout)
        where = "connecting to the provider" if connecting else "the provider"
        limit = {"limit": "connectTimeout"} if connecting else None
        message = f"{where} took too long ({words})"
        return ProviderError("provider_timeout", message, retryable=True, details=limit)
    if isinstance(cause, _OURS):
        return ProviderError("provider_error", f"the request could not be sent: {words}", retryable=False)
    if isinstance(cause, httpx2.TransportError):
        address = _address(cause)
        if _was_refused(cause):
            message = f"{address or 'the provider'} refused the connection: is the server running?"
        else:
            message = f"the connection to {address or 'the provider'} failed: {words}"
        return ProviderError("provider_error", message, retryable=True)
    if isinstance(cause, json.JSONDecodeError | UnicodeDecodeError | httpx2.DecodingError):
        return cut(f"the provider's stream holds an invalid event: {words}")
    return ProviderError("provider_error", f"{type(cause).__name__}: {words}", retryable=False)


def _address(error: httpx2.TransportError) -> str:
    """The URL of the request, without what may be secret in it; "" where the error belongs to no request."""
    try:
        url = error.request.url
    except RuntimeError:
        return ""
    port = "" if url.port is None else f":{url.port}"
    return f"{url.scheme}://{url.host}{port}{url.path}"


def _was_refused(error: BaseException | None) -> bool:
    """Return whether the causes are refused connections, and nothing else."""
    while error is not None:
        if isinstance(error, BaseExceptionGroup):
            return all(map(_was_refused, error.exceptions))
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None and not isinstance(error, httpx2.HTTPError | httpx2.InvalidURL):
        error = error.__cause__
    return error
