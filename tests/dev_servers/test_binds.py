"""Servers on every kind of address: one event, and a local URL that really answers."""

from __future__ import annotations

import sys
import time
from urllib.request import urlopen

import anyio
import pytest

from agent_runtime.dev_servers.origin import command_line
from agent_runtime.protocol.events import DevUrlEvent
from agent_runtime.system.processes import Process
from tests.dev_servers.conftest import Launch, Watching
from tests.dev_servers.watchers import listening_port
from tests.support.waiting import until_async

pytestmark = pytest.mark.anyio

SERVE = """
import http.server, socket, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): pass
def listen(bind, port):
    host, _, only = bind.partition("=")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    class Server(http.server.ThreadingHTTPServer):
        address_family = family
        def server_bind(self):
            if family == socket.AF_INET6:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(bool(only)))
            super().server_bind()
    return Server((host, port), Handler)
binds = sys.argv[1:]
while True:  # a port that is free on the one address may be in use on the other
    servers = [listen(binds[0], 0)]
    try:
        servers += [listen(bind, servers[0].server_address[1]) for bind in binds[1:]]
        break
    except OSError:
        servers[0].server_close()
import threading
for server in servers:
    threading.Thread(target=server.serve_forever).start()
"""


def get(url: str) -> int:
    with urlopen(url, timeout=60) as answer:
        return int(answer.status)


BINDS = {  # what is bound: where it answers, and is that this machine only?
    ("127.0.0.1",): ("localhost", True),
    ("0.0.0.0",): ("localhost", False),
    ("::1",): ("[::1]", True),
    ("::",): ("localhost", False),
    ("::=v6only",): ("[::1]", False),
    ("127.0.0.2",): ("127.0.0.2", True),
    ("::ffff:127.0.0.1",): ("localhost", True),
    ("127.0.0.1", "::1"): ("localhost", True),
    ("0.0.0.0", "::=v6only"): ("localhost", False),
    ("127.0.0.1", "::=v6only"): ("localhost", False),
}


async def test_each_server_is_reported_once(watching: Watching, python: Launch, launch: Launch) -> None:
    async with watching() as scene:
        running = {binds: python(SERVE, *binds) for binds in BINDS}
        for binds, (host, loopback_only) in BINDS.items():
            server = running[binds]
            up = await scene.event("up", pid=server.pid)
            process = Process.of(server.pid)
            assert process and up == DevUrlEvent(
                url=f"http://localhost:{up.port}",
                port=up.port,
                local_url=f"http://{host}:{up.port}",
                status="up",
                pid=server.pid,
                command=command_line(process),
                log_file=None,
                http=None,
                loopback_only=loopback_only,
            ), binds
            assert await anyio.to_thread.run_sync(get, up.local_url) == 200
        ups = list(scene.events)
        assert scene.servers.up() == ups
        assert scene.servers.latest() in ups
        assert [left.pid for left in scene.servers.left()] == [up.pid for up in ups]
        assert scene.servers.advice().count("--host 0.0.0.0") <= 1
        assert scene.servers.advice() == ""

        for server in running.values():
            server.kill()
        for up in ups:
            down = await scene.event("down", port=up.port)
            assert down == up.model_copy(update={"status": "down"})
        assert len(await scene.all_events(launch)) == 2 * len(BINDS)
        assert (scene.servers.up(), scene.servers.latest(), scene.servers.left()) == ([], None, [])


@pytest.mark.timed
async def test_a_silent_python_http_server_is_detected_in_time(watching: Watching, launch: Launch) -> None:
    async with watching(
        template="https://{port}-{sandboxId}.sandboxes.example.com", sandbox_id="sbx1"
    ) as scene:
        server = launch(sys.executable, "-m", "http.server", "0")
        await until_async(lambda: listening_port(server.pid))
        opened, port, late = time.monotonic(), listening_port(server.pid), scene.late
        up = await scene.event("up", pid=server.pid)
        assert scene.times[0] - opened < 1 + scene.late - late
        assert (up.url, up.port, up.http) == (f"https://{port}-sbx1.sandboxes.example.com", port, True)
        assert up.command == f"{sys.executable} -m http.server 0"

        server.kill()
        killed, late = time.monotonic(), scene.late
        await scene.event("down", port=port)
        assert scene.times[1] - killed < 1 + scene.late - late
