"""One HTTP/1.1 connection, which takes one request after another, by anyio and h11."""

from __future__ import annotations

import select
import socket
import ssl
import time
from contextlib import suppress
from typing import Any

import anyio
import h11
from anyio.abc import ByteStream, SocketAttribute

from agent_runtime.providers.tcp_options import KEEP_IDLE, TCP_KEEPALIVE

_PIECE = 64 << 10  # bytes read at once
_MAX_HEADERS = 100 << 10  # bytes
_READ_ERRORS = (anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError)


class ConnectionFailed(Exception):
    """A connection could not be made, or has broken."""


class Connection:
    """One connection to a server.

    Args:
        stream: the bytes, through TLS for https.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._socket: socket.socket = stream.extra(SocketAttribute.raw_socket)
        for option in TCP_KEEPALIVE:
            self._socket.setsockopt(*option)
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEADERS)
        self._idle_since = 0.0

    async def send(self, request: h11.Request, content: bytes) -> h11.Response:
        """Send a request, and return the head of its response. Raises ConnectionFailed, h11.ProtocolError."""
        head = self._http.send(request) or b""
        body = self._http.send(h11.Data(data=content)) or b""
        self._http.send(h11.EndOfMessage())
        # a server that refuses a body may close the connection before it has read all, and answer nevertheless
        with suppress(*_READ_ERRORS):
            await self._stream.send(head + body)
        while True:
            event = await self.next_event()
            if isinstance(event, h11.Response):
                return event

    async def next_event(self) -> Any:
        """Return the next event of h11. Raises ConnectionFailed, h11.RemoteProtocolError."""
        while (event := self._http.next_event()) is h11.NEED_DATA:
            try:
                data = await self._stream.receive(_PIECE)
            except anyio.EndOfStream:
                data = b""
            except _READ_ERRORS as error:
                raise ConnectionFailed(str(error.__cause__ or error)) from error
            if not data and self._http.their_state is h11.SEND_RESPONSE:
                raise ConnectionFailed("Server disconnected without sending a response.")
            self._http.receive_data(data)
        return event

    def start_next(self) -> bool:
        """Make it ready for the next request; returns False when it cannot take one."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        self._idle_since = time.monotonic()
        return True

    def is_usable(self) -> bool:
        """Return whether an idle connection can be used: not for too long, and not closed by the server meanwhile."""
        if time.monotonic() - self._idle_since > KEEP_IDLE or self._socket.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)  # nothing but its end can be read from an idle connection

    async def aclose(self) -> None:
        """Close it; the rest of a response is lost."""
        with suppress(*_READ_ERRORS, OSError):
            await anyio.aclose_forcefully(self._stream)
