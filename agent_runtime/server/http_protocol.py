"""The HTTP protocol of a connection, with limits on how long a client may take to send a request."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

# for the head of a request, from the beginning of the connection or the end of the last answer
HEAD_SECONDS = 20.0
BODY_SECONDS = 30.0  # without a byte of the body
_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class TimedProtocol(H11Protocol):
    """Closes a connection whose client does not finish its request: such clients would use up the descriptors."""

    _timer: asyncio.TimerHandle | None = None
    _is_head_timed = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._set_timer()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        super().data_received(data)
        self._set_timer()

    def on_response_complete(self) -> None:
        """The answer has been sent; another request may follow."""
        super().on_response_complete()
        self._set_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        super().connection_lost(exc)
        self._stop_timer()

    def _set_timer(self) -> None:
        """Wait for what the client has to send next, if anything."""
        state = self.conn.their_state
        if state is h11.IDLE and self._is_head_timed:
            return  # further bytes do not extend the time
        self._stop_timer()
        if state in (h11.IDLE, h11.SEND_BODY) and not self.transport.is_closing():
            self._is_head_timed = state is h11.IDLE
            self._timer = self.loop.call_later(
                HEAD_SECONDS if self._is_head_timed else BODY_SECONDS, self._give_up, state
            )

    def _stop_timer(self) -> None:
        self._is_head_timed = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self, state: Any) -> None:
        if self.transport.get_protocol() is not self:  # a WebSocket by now
            return
        if state is h11.IDLE or not self.cycle.response_started:
            self.transport.write(_TIMED_OUT)
        self.transport.close()
