"""The streamable HTTP transport: a client of our own with the server's headers and time limits."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import httpx2
from mcp.client._transport import TransportStreams
from mcp.client.streamable_http import streamable_http_client
from mcp_types import INTERNAL_ERROR

from agent_runtime.mcp.config import ServerConfig
from agent_runtime.mcp.stdio import MAX_MESSAGE, without_surrogates
from agent_runtime.providers.tls import trusted

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 3600.0  # the limit of a call is enforced elsewhere
_DATA = b"data:"
_UNAUTHORIZED = "; give a valid token in its `headers`, such as Authorization"


@asynccontextmanager
async def http_transport(server: ServerConfig) -> AsyncIterator[TransportStreams]:
    """Connect to a server by its URL. Raises OSError when the certificates cannot be read."""
    timeout = httpx2.Timeout(_CONNECT_SECONDS, read=_READ_SECONDS)
    headers = {"accept-encoding": "identity"} | dict(server.headers)
    hooks = {"response": [_readable]}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=timeout, verify=trusted(), event_hooks=hooks) as client,
        streamable_http_client(server.url, http_client=client) as streams,
    ):
        yield streams


async def _readable(response: httpx2.Response) -> None:
    """Change a response so that the MCP library can read its messages, and report the meaning of its status."""
    if not isinstance(stream := response.stream, httpx2.AsyncByteStream):
        return
    if message := _refusal(response):
        response.headers = httpx2.Headers({"content-type": "application/json"})
        error = {"jsonrpc": "2.0", "id": None, "error": {"code": INTERNAL_ERROR, "message": message}}
        response.stream = _OtherBody(stream, json.dumps(error).encode())
    elif "content-encoding" not in response.headers:
        response.stream = _CleanBody(stream)


def _refusal(response: httpx2.Response) -> str:
    """The meaning of a status that the body does not name; empty when the library reports it by itself."""
    status = response.status_code
    message = f"HTTP {status} {response.reason_phrase}".strip()
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return message + _UNAUTHORIZED
    is_json = response.headers.get("content-type", "").lower().startswith("application/json")
    return message if status >= 400 and status != HTTPStatus.NOT_FOUND and not is_json else ""


class _OtherBody(httpx2.AsyncByteStream):
    """A body that replaces the received one."""

    def __init__(self, stream: httpx2.AsyncByteStream, content: bytes) -> None:
        self._stream, self._content = stream, content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content

    async def aclose(self) -> None:
        """Close the stream of the received body."""
        await self._stream.aclose()


class _CleanBody(httpx2.AsyncByteStream):
    """A body without halves of characters, which the parser of messages refuses. Each message is on one line."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        rest = b""
        async for piece in self._stream:
            if not rest and piece.endswith(b"\n") and b"\\ud" not in piece.lower():
                yield piece
                continue
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield _clean(line) + b"\n"
            if len(rest) > MAX_MESSAGE:
                yield rest
                rest = b""
        if rest:
            yield _clean(rest)

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()


def _clean(line: bytes) -> bytes:
    """A line of a JSON body or of events, whose messages are behind `data:`."""
    start = len(_DATA) if line.startswith(_DATA) else 0
    try:
        return line[:start] + without_surrogates(line[start:])
    except (ValueError, RecursionError):  # not a whole message
        return line
