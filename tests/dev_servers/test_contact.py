"""Watching changes nothing: servers that accept one connection, count requests, or answer one method only."""

from __future__ import annotations

import json
import shutil
import socket
from multiprocessing.connection import Client
from pathlib import Path

import anyio
import pytest

from tests.dev_servers.conftest import Launch, Watching
from tests.support.waiting import until_async

pytestmark = pytest.mark.anyio

# Each listens, writes its port to `port`, and at its end what it received to `received`.
RECORD = """
import json, os, socket, sys, threading, time
received = []
def announce(port):
    open("port.new", "w").write(str(port)); os.rename("port.new", "port")
def finish():
    open("received.new", "w").write(json.dumps(received)); os.rename("received.new", "received")
address = ("127.0.0.1", int(sys.argv[1]))
"""
ONE_SHOT = """
s = socket.create_server(address); announce(s.getsockname()[1])
c, _ = s.accept(); received.append(c.recv(100).decode()); c.close(); finish(); time.sleep(60)
"""
LOGIN_REDIRECT = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        received.append("GET " + self.path); self.send_response(200); self.end_headers()
    def log_message(self, *words): pass
s = http.server.HTTPServer(address, Handler); announce(s.server_address[1])
s.handle_request(); finish(); time.sleep(60)
"""
LISTENER = """
from multiprocessing.connection import Listener
s = Listener(address, authkey=b"k"); announce(s.address[1])
received.append(s.accept().recv()); finish(); time.sleep(60)
"""
COUNTER = """
s = socket.create_server(address); announce(s.getsockname()[1])
def serve():
    while True:
        c, _ = s.accept(); received.append(c.recv(100).decode()); c.close()
threading.Thread(target=serve, daemon=True).start()
while not os.path.exists("enough"): time.sleep(0.01)
finish(); time.sleep(60)
"""
BANNER = """
s = socket.create_server(address); announce(s.getsockname()[1])
c, _ = s.accept(); c.sendall(b"220 ftp ready\\r\\n"); received.append(c.recv(100).decode())
c.close(); finish(); time.sleep(60)
"""


def talk(port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(data)
        connection.recv(1)


@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "ephemeral"])
@pytest.mark.parametrize("source", [ONE_SHOT, LOGIN_REDIRECT, COUNTER, BANNER])
async def test_the_watcher_makes_no_connection_before_the_client(
    watching: Watching, python: Launch, tmp_path: Path, free_port: int, source: str, fixed: bool
) -> None:
    async with watching() as scene:
        python(RECORD + source, str(free_port if fixed else 0))
        port = int(
            await until_async(lambda: (tmp_path / "port").exists() and (tmp_path / "port").read_text())
        )
        await scene.event("up", port=port)
        scene.servers.hint(f"connect to 127.0.0.1:{port}")
        await scene.servers.settle()
        await scene.servers.locate(port, 0)  # asks for the address, but not to send a request
        scene.servers.latest()
        scene.servers.left()
        scene.servers.advice()
        await anyio.to_thread.run_sync(talk, port, b"GET /mine HTTP/1.0\r\n\r\n")
        (tmp_path / "enough").touch()
        await until_async((tmp_path / "received").exists)
        (received,) = json.loads((tmp_path / "received").read_text())
        assert received.startswith("GET /mine")


async def test_a_server_that_counts_handshakes_sees_none_of_the_watcher(
    watching: Watching, python: Launch, tmp_path: Path
) -> None:
    async with watching() as scene:
        python(RECORD + LISTENER, "0")
        port = int(
            await until_async(lambda: (tmp_path / "port").exists() and (tmp_path / "port").read_text())
        )
        await scene.event("up", port=port)
        await scene.servers.settle()

        def send() -> None:
            with Client(("127.0.0.1", port), authkey=b"k") as client:
                client.send("hello")

        await anyio.to_thread.run_sync(send)
        await until_async((tmp_path / "received").exists)
        assert json.loads((tmp_path / "received").read_text()) == ["hello"]


async def test_a_requested_check_sends_one_get_and_none_when_the_answer_is_known(
    watching: Watching, python: Launch, tmp_path: Path, free_port: int
) -> None:
    async with watching() as scene:
        answering = COUNTER.replace("c.close()", 'c.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n"); c.close()')
        python(RECORD + answering, str(free_port))
        await scene.event("up", port=free_port)
        for _ in range(3):
            assert "HTTP" not in await scene.servers.locate(free_port, 0, check=True)
        (tmp_path / "enough").touch()
        await until_async((tmp_path / "received").exists)
        (received,) = json.loads((tmp_path / "received").read_text())
        assert received.startswith("GET / HTTP/1.1\r\n")
        assert scene.servers.up()[0].http is True


async def test_no_request_is_sent_to_a_debugger(
    watching: Watching, python: Launch, tmp_path: Path, free_port: int
) -> None:
    say = f'print("RemotePdb session open at 127.0.0.1:{free_port}", flush=True)\n'
    async with watching() as scene:
        python(RECORD + say + COUNTER, str(free_port), log=tmp_path / "log")
        await scene.event("up", port=free_port)
        assert "It does not speak HTTP" in await scene.servers.locate(free_port, 0, check=True)
        (tmp_path / "enough").touch()
        await until_async((tmp_path / "received").exists)
        assert json.loads((tmp_path / "received").read_text()) == []
        assert scene.servers.latest() is None


NODE_TEST = """
const fs = require("fs"), test = require("node:test"), assert = require("node:assert"), http = require("http")
test("retries", async () => {
  const seen = []
  const server = http.createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`); response.statusCode = seen.length > 1 ? 200 : 503; response.end()
  })
  await new Promise(done => server.listen(0, done))
  const url = `http://127.0.0.1:${server.address().port}/job`
  await fetch(url)
  while (!fs.existsSync("seen")) await new Promise(done => setTimeout(done, 20))
  await fetch(url)
  assert.deepStrictEqual(seen, ["GET /job", "GET /job"])
  server.closeAllConnections(); server.close()
})
"""


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
async def test_a_test_suite_that_counts_requests_passes(
    watching: Watching, launch: Launch, tmp_path: Path
) -> None:
    (tmp_path / "retry.test.js").write_text(NODE_TEST)
    async with watching() as scene:
        suite = launch("node", "--test", "retry.test.js", log=tmp_path / "log")
        await scene.event("up")
        (tmp_path / "seen").touch()
        assert await anyio.to_thread.run_sync(suite.wait) == 0, (tmp_path / "log").read_text()
        await scene.event("down")
        assert scene.servers.advice() == ""
