"""What a WebSocket client may send: what is refused, with which code, and what the server holds meanwhile."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import uvicorn
from uvicorn.server import ServerState

from agent_runtime.server import socket_protocol
from agent_runtime.server.socket_protocol import MAX_FRAGMENTS, MAX_MESSAGE, BoundedSocket

HANDSHAKE = (
    b"GET /x HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
)
CONTINUED, TEXT, BINARY, CLOSE, PING = 0, 1, 2, 8, 9


def head(opcode: int, size: int, *, fin: bool = True) -> bytes:
    """The head of a frame whose mask is zero."""
    if size < 126:
        length = bytes([size])
    else:
        length = b"\x7e" + struct.pack("!H", size) if size < 1 << 16 else b"\x7f" + struct.pack("!Q", size)
    return bytes([opcode | (0x80 if fin else 0), length[0] | 0x80]) + length[1:] + bytes(4)


def frame(opcode: int, data: bytes = b"", *, fin: bool = True) -> bytes:
    return head(opcode, len(data), fin=fin) + data


class FakeTransport(asyncio.Transport):
    """Records what is done with it."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.has_ended, self.reads = b"", False, True
        self.closed = asyncio.Event()

    def write(self, data: Any) -> None:
        assert not self.has_ended
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.has_ended = True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def close(self) -> None:
        self.closed.set()


class Opened:
    """A connection after its handshake.

    Attributes:
        received: the messages that the application has received after `websocket.connect`.
        last: the last of them.
        goes_on: the application takes messages while it is set.
    """

    def __init__(self) -> None:
        self.received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.last: dict[str, Any] = {}
        self.accepted, self.ended, self.goes_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.goes_on.set()
        self.transport = FakeTransport()
        self.protocol = BoundedSocket(
            uvicorn.Config(self._application, interface="asgi3", log_config=None, ws_max_size=MAX_MESSAGE),
            ServerState(),
            {},
        )
        self.protocol.connection_made(self.transport)
        self.protocol.data_received(HANDSHAKE)

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self.accepted.set()
        while self.last.get("type") != "websocket.disconnect":
            await self.goes_on.wait()
            self.last = await receive()
            self.received.put_nowait(self.last)
        self.ended.set()

    def answer(self) -> bytes:
        """What was written since the handshake."""
        return self.transport.written.partition(b"\r\n\r\n")[2]


@asynccontextmanager
async def opened() -> AsyncIterator[Opened]:
    connection = Opened()
    await asyncio.wait_for(connection.accepted.wait(), 30)
    try:
        yield connection
    finally:
        connection.protocol.connection_lost(None)
        await asyncio.wait_for(connection.ended.wait(), 30)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (head(TEXT, MAX_MESSAGE + 1), 1009),
        (head(BINARY, 10_000_000), 1009),
        (head(TEXT, 1 << 62), 1009),
        (frame(TEXT, b"x" * 9, fin=False) + head(CONTINUED, MAX_MESSAGE - 8), 1009),
        (frame(TEXT, fin=False) + frame(CONTINUED, fin=False) * MAX_FRAGMENTS, 1009),
        (frame(BINARY, b"a", fin=False) + frame(CONTINUED, b"a", fin=False) * (3 * MAX_FRAGMENTS), 1009),
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(TEXT, b"\xc3", fin=False) + frame(CONTINUED, b"a"), 1007),
        (frame(TEXT, "\ud800".encode(errors="surrogatepass")), 1007),
        (frame(3), 1002),
        (frame(0x40 | TEXT, b"a"), 1002),
        (bytes([0x80 | TEXT, 1]) + b"a", 1002),
        (frame(CONTINUED, b"a"), 1002),
        (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
        (frame(PING, fin=False), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(CLOSE, b"\x00"), 1002),
    ],
    ids=lambda value: value if isinstance(value, int) else str(value[:20]),
)
def test_a_client_is_refused_with_a_code_that_it_can_read(
    sent: bytes, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_protocol, "ANSWER_SECONDS", 3600)

    async def main() -> None:
        async with opened() as connection:
            connection.protocol.data_received(sent)
            answer = connection.answer()
            assert answer[:1] == bytes([0x80 | CLOSE]) and struct.unpack("!H", answer[2:4]) == (code,)
            await asyncio.wait_for(connection.ended.wait(), 30)
            assert connection.last["code"] == code
            # it goes on reading, so that a reset does not discard the answer, but ignores what it reads
            assert connection.transport.reads
            connection.protocol.data_received(b"\xff" * 100_000)
            connection.protocol.data_received(frame(TEXT, b"{}"))
            assert connection.answer() == answer and not connection.transport.is_closing()

    anyio.run(main)


def test_a_refused_client_that_stays_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_protocol, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(socket_protocol, "LINGER_SECONDS", 0.05)

    async def main() -> None:
        async with opened() as connection:
            connection.protocol.data_received(frame(3))
            await asyncio.wait_for(connection.transport.closed.wait(), 30)
            assert connection.transport.has_ended

    anyio.run(main)


def test_messages_at_the_limits_arrive() -> None:
    async def main() -> None:
        async with opened() as connection:
            halves = frame(TEXT, b"\xc3", fin=False) + frame(PING) + frame(CONTINUED, b"\xa9")
            fragments = frame(CONTINUED, b"a", fin=False) * (MAX_FRAGMENTS - 2) + frame(CONTINUED, b"a")
            for sent in (
                frame(TEXT, b"x" * MAX_MESSAGE),
                frame(BINARY, b"\xff\xfe"),
                halves,
                frame(TEXT, fin=False) + fragments,
            ):
                connection.protocol.data_received(sent)
            messages = [await connection.received.get() for _ in range(4)]
            assert [len(message.get("text") or message["bytes"]) for message in messages] == [
                MAX_MESSAGE,
                2,
                1,
                MAX_FRAGMENTS - 1,
            ]
            assert not connection.protocol.close_sent

    anyio.run(main)


def test_nothing_is_read_while_a_message_waits() -> None:
    async def main() -> None:
        async with opened() as connection:
            connection.goes_on.clear()
            connection.protocol.data_received(frame(TEXT, b"first"))
            await connection.received.get()  # the application had asked for it before
            connection.protocol.data_received(frame(TEXT, b"second") * 100)
            assert not connection.transport.reads
            connection.goes_on.set()
            for _ in range(100):
                await connection.received.get()
            assert connection.transport.reads

    anyio.run(main)


def test_pings_are_not_answered_while_the_client_does_not_read() -> None:
    async def main() -> None:
        async with opened() as connection:
            connection.protocol.data_received(frame(PING, b"a"))
            assert connection.answer() == b"\x8a\x01a"
            connection.protocol.pause_writing()
            connection.protocol.data_received(frame(PING, b"b") * 1_000)
            assert connection.answer() == b"\x8a\x01a"
            connection.protocol.resume_writing()
            connection.protocol.data_received(frame(PING, b"c"))
            assert connection.answer() == b"\x8a\x01a\x8a\x01c"

    anyio.run(main)


def test_a_flood_is_read_in_small_pieces() -> None:
    """Between two pieces the server has time for its other clients."""

    async def main() -> None:
        made: list[asyncio.BaseTransport] = []
        sizes: asyncio.Queue[int] = asyncio.Queue()

        class Watched(BoundedSocket):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                made.append(transport)

            def data_received(self, data: bytes) -> None:
                sizes.put_nowait(len(data))

        config, state = uvicorn.Config(lambda: None, log_config=None), ServerState()
        server = await asyncio.get_running_loop().create_server(
            lambda: Watched(config, state, {}), "127.0.0.1", 0
        )
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x" * 1_000_000)
        total = 0
        while total < 1_000_000:
            size = await asyncio.wait_for(sizes.get(), 30)
            assert size <= socket_protocol._READ
            total += size
        writer.close()
        made[0].close()
        server.close()

    anyio.run(main)
