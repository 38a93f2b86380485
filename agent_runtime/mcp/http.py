"""The streamable HTTP transport: a client of our own with the server's headers and time limits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from mcp.client._transport import TransportStreams
from mcp.client.streamable_http import streamable_http_client

from agent_runtime.mcp.config import ServerConfig
from agent_runtime.providers.tls import trusted

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 3600.0  # the limit of a call is enforced elsewhere


@asynccontextmanager
async def http_transport(server: ServerConfig) -> AsyncIterator[TransportStreams]:
    """Connect to a server by its URL. Raises OSError when the certificates cannot be read."""
    timeout = httpx2.Timeout(_CONNECT_SECONDS, read=_READ_SECONDS)
    async with (
        httpx2.AsyncClient(headers=dict(server.headers), timeout=timeout, verify=trusted()) as client,
        streamable_http_client(server.url, http_client=client) as streams,
    ):
        yield streams
