"""What the probe makes of servers that speak HTTP, TLS, something else, or nothing."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from agent_runtime.dev_servers.probe import probe

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


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "http"),
        (b"HTTP/1.0 404 Not Found\r\n\r\n", "http"),
        (b"HTTP/1.1 500 Oops\r\n\r\n", "http"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "http"),
        (b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n\r\n", "other"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "other"),
        (b"-ERR unknown command 'HEAD'\r\n", "other"),
        (b"", "other"),
    ],
)
async def test_answers(said: bytes, answer: str) -> None:
    with serving(lambda connection: connection.sendall(said)) as (port, heard):
        assert await probe("127.0.0.1", port, path="/app/", budget=2) == answer
        assert heard[0].startswith(f"HEAD /app/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode())


async def test_a_head_that_comes_in_pieces_is_waited_for() -> None:
    def slowly(connection: socket.socket) -> None:
        for piece in (b"HT", b"TP/1.1 2", b"00 OK\r\n", b"\r\n"):
            connection.sendall(piece)
            time.sleep(0.02)

    with serving(slowly) as (port, _):
        assert await probe("127.0.0.1", port, budget=2) == "http"


async def test_silence_costs_the_budget_and_no_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert await probe("127.0.0.1", silent.getsockname()[1], budget=0.2) == "silent"
        assert time.monotonic() - began < 5


async def test_nobody_there() -> None:
    with socket.socket() as bound:  # bound and not listening: nobody else can have the port meanwhile
        bound.bind(("127.0.0.1", 0))
        assert await probe("127.0.0.1", bound.getsockname()[1], budget=1) == "unreachable"


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
@pytest.mark.parametrize("hint", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\nThis is a TLS port.\r\n"])
async def test_tls(tmp_path: Path, hint: bytes) -> None:
    """A TLS port hangs up on plain HTTP, or says 400 as nginx and Go do."""
    make = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout key -out cert"
    await anyio.run_process(["openssl", *make.split()], cwd=tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve_tls, args=[listener, context, hint])
        thread.start()
        assert await probe("127.0.0.1", listener.getsockname()[1], budget=5) == "https"
        thread.join()


def _serve_tls(listener: socket.socket, context: ssl.SSLContext, hint: bytes) -> None:
    plain, _ = listener.accept()
    with plain:
        plain.recv(4096)
        plain.sendall(hint)
    connection, _ = listener.accept()
    with context.wrap_socket(connection, server_side=True) as secure:
        secure.recv(4096)
        secure.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
