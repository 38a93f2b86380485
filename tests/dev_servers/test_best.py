"""Which of several servers is the one to open."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from agent_runtime.dev_servers import watcher
from agent_runtime.dev_servers.announcements import Announcement
from agent_runtime.dev_servers.origin import Origin
from agent_runtime.dev_servers.ownership import OpenPort
from agent_runtime.dev_servers.programs import protocol, serves_pages
from agent_runtime.dev_servers.server import Server, best
from agent_runtime.dev_servers.urls import Template
from agent_runtime.system.processes import Process
from agent_runtime.system.sockets import Listener
from tests.dev_servers.conftest import Launch, Watching
from tests.support.waiting import until_async

pytestmark = pytest.mark.anyio

ANY, LOOPBACK = bytes(4), b"\x7f\0\0\1"


def server(
    port: int,
    command: str = "node app.js",
    *,
    said: Announcement | None = None,
    address: bytes = ANY,
    pid: int = 0,
    call: str | None = None,
) -> Server:
    words = command.split()
    origin = Origin(command, protocol=protocol(words, port), serves_pages=serves_pages(words))
    owner = Process(pid or port, 1, 1, "S", 1)
    open_port = OpenPort([Listener(port, address, port)], [owner])
    return Server(port, 0.0, open_port, announcement=said, origin=origin, call_id=call)


def http(port: int) -> Announcement:
    return Announcement(port, "http")


APP = server(3001, said=http(3001))
SILENT = server(3002)
VITE = server(5173, "vite", address=LOOPBACK, call="c1")
HELPERS = {
    "an ephemeral port on loopback": server(40001, address=LOOPBACK),
    "an ephemeral port": server(40002),
    "an inspector that says so": server(7000, said=Announcement(7000, "ws", role="debugger")),
    "an inspector by option": server(7001, "node --inspect=7001 app.js"),
    "an inspector by its port": server(9229),
    "a reload port": server(35729),
    "Vite's reload port": server(24678, "vite"),
    "an API": server(4000, said=Announcement(4000, "http", role="helper")),
    "a database": server(7002, "redis-server *:7002"),
    "a database by its port": server(5432),
    "gRPC that says so": server(50051, said=Announcement(50051)),
    "a debugger": server(5678, "python -m debugpy --listen 5678 app.py"),
}


@pytest.mark.parametrize("helper", HELPERS.values(), ids=HELPERS)
@pytest.mark.parametrize("app", [APP, SILENT, VITE], ids=["printed", "silent", "vite"])
def test_an_app_is_preferred_to_its_helpers(app: Server, helper: Server) -> None:
    assert best([app, helper]) is best([helper, app]) is app


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ([], None),
        ([server(3001), server(3002)], 3002),  # the latest
        ([server(3001, said=http(3001)), server(3002, said=http(3002))], 3002),
        ([server(8000, "python -m http.server"), server(3002, said=http(3002)), server(7007)], 3002),
        ([server(3001, pid=9), server(3002, pid=9)], 3001),  # the first of a process: others are beside it
        ([server(3001, pid=8), server(3002, pid=9), server(3003, pid=9)], 3002),
        ([VITE, server(4000, said=http(4000), call="c1")], 5173),  # a front end and its API
        ([VITE, server(8000, "python -m http.server", call="c2")], 8000),
        ([server(3001, "vite", pid=9), server(5173, "vite", said=http(5173), pid=9)], 5173),
        (
            [server(3000, said=http(3000)), server(5000, said=Announcement(5000))],
            3000,
        ),  # a port without a URL
        ([server(3000), server(5000, said=Announcement(5000))], 5000),
        ([HELPERS["an API"]], 4000),  # better than none
        ([HELPERS["an ephemeral port"]], 40002),
        ([HELPERS["an ephemeral port on loopback"]], None),  # an address for nobody
        ([HELPERS["an inspector that says so"], HELPERS["a database"], HELPERS["a debugger"]], None),
        ([server(40001, "python -m http.server 0", address=LOOPBACK)], 40001),
        ([server(40001, said=Announcement(40001), address=LOOPBACK)], 40001),
    ],
)
def test_the_server_to_open_is_chosen_by_kind_and_port(servers: list[Server], expected: int | None) -> None:
    found = best(servers)
    assert (found.port if found else None) == expected


@pytest.mark.parametrize(
    ("candidate", "scheme"),
    [
        (server(443), "https"),
        (server(3443), "https"),
        (server(8000, "uvicorn app:app --ssl-keyfile k"), "https"),
        (server(8443, said=http(8443)), "http"),
        (server(3000, said=Announcement(3000, "https")), "https"),
        (server(3000), "http"),
    ],
)
def test_the_url_scheme_follows_the_port_and_protocol(candidate: Server, scheme: str) -> None:
    assert candidate.event("up", Template()).url.startswith(f"{scheme}://")


# a development server that opens internal ports first and prints its address last, and an inspector
MANY_PORTS = """
const http = require("http")
const listen = (port, host) => new Promise(done => {
  const server = http.createServer((request, response) => response.end("hi")).listen(port, host, () => done(server))
})
;(async () => {
  const port = Number(process.argv[2])
  for (let i = 0; i < 3; i++) await listen(0, "127.0.0.1")
  await listen(port, "127.0.0.1")
  setTimeout(async () => {
    await listen(0, "127.0.0.1")
    require("inspector").open(0)
    console.log(`[wrangler:inf] Ready on http://localhost:${port}`)
  }, 500)
})()
"""


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
async def test_the_announced_port_is_chosen_among_many(
    watching: Watching, launch: Launch, tmp_path: Path, free_port: int
) -> None:
    (tmp_path / "many.js").write_text(MANY_PORTS)
    async with watching() as scene:
        launch("node", "many.js", str(free_port), log=tmp_path / "log")
        await until_async(lambda: len(scene.events) == 6)

        def chosen() -> tuple[int, bool | None] | None:
            found = scene.servers.latest()
            return (found.port, found.http) if found else None

        await until_async(lambda: chosen() == (free_port, True))  # the last line says so


SLOW_BUILD = """
import socket, sys, time
s = socket.create_server(("0.0.0.0", int(sys.argv[1])))
c, _ = s.accept(); c.recv(1000); time.sleep(60)
"""


async def test_a_server_that_is_still_building_is_preferred(
    watching: Watching, python: Launch, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching() as scene:
        python(SLOW_BUILD, str(free_port))
        up = await scene.event("up", port=free_port)
        assert await scene.servers.finish() == []
        assert scene.servers.latest() == up
        monkeypatch.setattr(watcher, "_CHECK_SECONDS", 0.1)
        text = await scene.servers.locate(free_port, 0.1, check=True)
        assert "may still be starting" in text
        assert scene.servers.latest() == up


async def test_the_log_of_a_server_below_a_program_that_reads_its_output(
    watching: Watching, launch: Launch, tmp_path: Path, free_port: int
) -> None:
    """As `concurrently` and `foreman` do: the server writes into a pipe, its parent into the file."""
    server = (
        "import socket, time\n"
        f"s = socket.create_server(('0.0.0.0', {free_port}))\n"
        f"print('Local: http://localhost:{free_port}/app/', flush=True)\ntime.sleep(60)"
    )
    parent = (
        "import subprocess, sys, json\n"
        f"p = subprocess.Popen([sys.executable, '-c', json.loads({json.dumps(json.dumps(server))})], "
        "stdout=subprocess.PIPE, text=True)\n"
        "for line in p.stdout: print('[web]', line, end='', flush=True)"
    )
    async with watching() as scene:
        launch(sys.executable, "-c", parent, log=tmp_path / "dev.log")
        up = await scene.event("up", port=free_port)
        assert up.log_file == str(tmp_path / "dev.log")
        await until_async(lambda: scene.servers.up()[0].url == f"http://localhost:{free_port}/app/")
