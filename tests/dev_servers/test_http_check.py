"""What one GET request finds out about servers that speak HTTP, TLS, something else, or nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from agent_runtime.dev_servers.http_check import check
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

Talk = Callable[[socket.socket], None]


@contextmanager
def serving(talk: Talk) -> Iterator[tuple[int, list[bytes]]]:
    """A server that reads a request and then does what `talk` says, for every connection."""
    heard: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    heard.append(connection.recv(4096))
                    talk(connection)
                except OSError:
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        try:
            yield listener.getsockname()[1], heard
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


REFUSALS = (  # what plain HTTP on a TLS port is answered: nginx, Go, Apache, OpenSSL
    b"HTTP/1.1 400 Bad Request\r\n\r\n<center>The plain HTTP request was sent to HTTPS port</center>",
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
    b"HTTP/1.1 400 Bad Request\r\n\r\nYou're speaking plain HTTP to an SSL-enabled server port.",
    b"\x15\x03\x01\x00\x02\x02\x46",
)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "http"),
        (b"HTTP/1.0 404 Not Found\r\n\r\n", "http"),
        (b"HTTP/1.1 500 Oops\r\n\r\n", "http"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "http"),
        (b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n\r\n", "other"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "other"),
        (b"-ERR unknown command 'GET'\r\n", "other"),
        (b"", "hung_up"),
        *((refusal, "https") for refusal in REFUSALS),
    ],
)
async def test_answers_of_every_protocol_are_recognized(answer: bytes, expected: str) -> None:
    with serving(lambda connection: connection.sendall(answer)) as (port, heard):
        assert await check("127.0.0.1", port, path="/app/", seconds=60) == expected
        (request,) = heard  # one request, whatever the answer
        assert request.startswith(f"GET /app/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode())


def is_read(connection: socket.socket) -> bool:
    """Whether the other end has read all that was sent to it."""
    ends = [f":{address[1]:04X}" for address in (connection.getpeername(), connection.getsockname())]
    for line in Path("/proc/net/tcp").read_text().splitlines():
        _, local, remote, _, queues, *_ = line.split()
        if local.endswith(ends[0]) and remote.endswith(ends[1]):
            return queues.endswith(":00000000")
    return True


async def test_response_headers_may_arrive_in_pieces() -> None:
    def slowly(connection: socket.socket) -> None:
        for piece in (b"HT", b"TP/1.1 2", b"00 OK\r\n", b"\r\n"):
            connection.sendall(piece)
            until(lambda: is_read(connection))

    with serving(slowly) as (port, _):
        assert await check("127.0.0.1", port, seconds=60) == "http"


async def test_an_answer_that_never_ends_counts() -> None:
    def stream(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n")
        connection.recv(1)

    with serving(stream) as (port, _):
        assert await check("127.0.0.1", port, seconds=60) == "http"


async def test_a_silent_server_is_waited_for_until_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, anyio.fail_after(60):
        assert await check("127.0.0.1", silent.getsockname()[1], seconds=0.2) == "silent"


async def test_a_refused_connection_is_reported() -> None:
    with socket.socket() as bound:  # bound and not listening, so that no other process can use the port
        bound.bind(("127.0.0.1", 0))
        assert await check("127.0.0.1", bound.getsockname()[1], seconds=60) == "unreachable"
