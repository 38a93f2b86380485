"""The WebSocket protocol of a connection, with limits on what a client may send."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from agent_runtime.server.control import MAX_LINE

# bytes; a longer message is refused with 1009 as soon as its length is known, a message above MAX_LINE is answered with
# an error
MAX_MESSAGE = 2 * MAX_LINE
MAX_FRAGMENTS = 4_096  # of one message; each takes memory, even if it is empty
# for a client to read why it is refused, before and after the end of the stream; what it sends is discarded
ANSWER_SECONDS, LINGER_SECONDS = 0.5, 5.0
_READ = 1 << 14  # bytes that are read at once: thousands of frames of a flood, while other clients wait


class BoundedSocket(WebSocketsSansIOProtocol):
    """A WebSocket whose client cannot make the server store more than one message, or neglect other clients."""

    _is_refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        super().connection_made(transport)
        made: Any = transport
        made.max_size = _READ  # of asyncio's own transports

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if not self._is_refused:  # else it is discarded
            super().data_received(data)

    def handle_cont(self, event: Frame) -> None:
        """Add a fragment to the message, or refuse the message."""
        if len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
        elif not self._is_refused:
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG, f"expected at most {MAX_FRAGMENTS} fragments")
            self.handle_parser_exception()

    def handle_ping(self) -> None:
        """Answer, unless the client does not read: it may leave out answers to all but the latest ping."""
        output = self.conn.data_to_send()
        if self.writable.is_set():
            self.transport.write(b"".join(output))

    def handle_parser_exception(self) -> None:
        """Send the reason for the refusal, and wait for the client: a reset would discard what it has not read yet."""
        close = self.conn.close_sent
        assert close is not None
        self._is_refused = self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": close.code, "reason": close.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.stop_keepalive()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(ANSWER_SECONDS, self._end)

    def _end(self) -> None:
        """Send nothing more, which makes clients close the connection; some report the reason only then."""
        if self.transport.can_write_eof():  # not over TLS
            self.transport.write_eof()
        self.close_timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)
