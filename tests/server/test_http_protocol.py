"""Clients that do not finish their requests do not keep their connections; those that only take their time do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import uvicorn
from uvicorn.server import ServerState

from agent_runtime.server import http_protocol
from agent_runtime.server.http_protocol import TimedProtocol

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\n"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the size of the body, when it has arrived."""
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
    await send({"type": "http.response.body", "body": b"%d" % size})


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    loop = asyncio.get_running_loop()
    config, state = uvicorn.Config(application, log_config=None), ServerState()
    server = await loop.create_server(lambda: TimedProtocol(config, state, {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST",
        HEAD + b"a: b",
        HEAD + b"content-length: 5\r\n\r\n",
        HEAD + b"content-length: 5\r\n\r\nab",
        HEAD + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
def test_an_unfinished_request_is_answered_with_408(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(http_protocol, "BODY_SECONDS", 0.1)

    async def main() -> bytes:
        async with connection() as (reader, writer):
            writer.write(sent)
            return await asyncio.wait_for(reader.readline(), 60)

    assert anyio.run(main).startswith(b"HTTP/1.1 408 ")


def test_a_head_that_arrives_byte_by_byte_has_no_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.3)

    async def main() -> bytes:
        async with connection() as (reader, writer):
            answer = asyncio.ensure_future(reader.readline())  # after it the connection may be reset
            writer.write(HEAD)
            while not answer.done():  # goes on for as long as the server listens
                writer.write(b"a: b\r\n")
                await asyncio.wait({answer}, timeout=0.02)
            return answer.result()

    assert anyio.run(main).startswith(b"HTTP/1.1 408 ")


def test_a_complete_request_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of a body that keep coming, and several requests on a connection, each have their own time."""
    monkeypatch.setattr(http_protocol, "BODY_SECONDS", 60)

    async def main() -> list[bytes]:
        answers = []
        async with connection() as (reader, writer):
            for size in (1, 3):
                writer.write(HEAD + b"content-length: %d\r\n\r\n" % size)
                for _ in range(size):
                    writer.write(b"x")
                    await writer.drain()
                await reader.readuntil(b"\r\n\r\n")
                answers.append(await reader.readexactly(1))
        return answers

    assert anyio.run(main) == [b"1", b"3"]
