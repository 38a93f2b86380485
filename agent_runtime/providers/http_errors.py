"""Converts errors of HTTP: a status of failure, no connection, a broken one, bytes that are not a stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress

from agent_runtime.errors import ProviderError
from agent_runtime.providers.errors import cut, map_error
from agent_runtime.providers.http_response import HttpResponse

_MAX_BODY = 1 << 20  # bytes of an error's body that are read
_REQUEST_IDS = ("request-id", "x-request-id", "x-groq-request-id", "x-amzn-requestid", "apim-request-id")


async def map_status(response: HttpResponse) -> ProviderError:
    """The error for a response with a status of failure. As much of its body is read as arrives."""
    content = bytearray()
    with suppress(Exception):  # of the client
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


def timed_out(what: str, error: Exception, details: dict[str, str] | None = None) -> ProviderError:
    """The error for an exchange, or a connection, that took too long."""
    message = f"{what} took too long ({words(error)})"
    return ProviderError("provider_timeout", message, retryable=True, details=details)


def not_sent(error: Exception) -> ProviderError:
    """The error for a request that cannot be sent to any server."""
    return ProviderError("provider_error", f"the request could not be sent: {words(error)}", retryable=False)


def not_connected(address: str, error: Exception) -> ProviderError:
    """The error for a connection that could not be made, or has broken."""
    if _was_refused(error):
        message = f"{address} refused the connection: is the server running?"
    else:
        message = f"the connection to {address} failed: {words(error)}"
    return ProviderError("provider_error", message, retryable=True)


def invalid_event(error: Exception) -> ProviderError:
    """The error for bytes that are not text, or are not compressed as they should be."""
    return cut(f"the provider's stream contains an invalid event: {words(error)}")


def other_error(error: Exception) -> ProviderError:
    """The error for an exception that is not of a client."""
    if isinstance(error, UnicodeDecodeError):
        return invalid_event(error)
    if isinstance(error, ValueError):
        return cut(f"the provider's stream does not have the expected format: {words(error)}")
    message = f"{type(error).__name__}: {words(error)}"
    return ProviderError("provider_error", message, retryable=False)


def words(error: Exception) -> str:
    """What an exception says, or else its name."""
    return str(error) or type(error).__name__


def lower_case(response: HttpResponse) -> dict[str, str]:
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
