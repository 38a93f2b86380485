"""Servers that restart, or are replaced by another program on the same port."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_runtime.dev_servers import server_table
from tests.dev_servers.conftest import Launch, Scene, Watching
from tests.dev_servers.scripts import ANSWER, LISTEN, STAY
from tests.support.waiting import until_async

pytestmark = pytest.mark.anyio

# Closes its port when there is the file `go`, and opens it again when there is the file `again`.
RESTART = """
import http.server, os, sys, time
for until in ("go", "never"):
    server = http.server.HTTPServer(("0.0.0.0", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)
    server.timeout = 0.05
    while not os.path.exists(until):
        server.handle_request()
    server.server_close()
    while not os.path.exists("again"): time.sleep(0.01)
"""


async def restart(scene: Scene, folder: Path, port: int) -> None:
    """Let `RESTART` restart, as soon as the watcher has noticed that the port is closed."""
    (folder / "go").touch()
    await until_async(lambda: scene.servers._servers.is_going)
    (folder / "again").touch()
    await until_async(lambda: not scene.servers._servers.is_going)


async def test_a_quick_restart_on_the_same_port_makes_no_event(
    watching: Watching,
    python: Launch,
    launch: Launch,
    tmp_path: Path,
    free_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_table, "GRACE", 3600.0)
    async with watching() as scene:
        server = python(RESTART, str(free_port))
        up = await scene.event("up", pid=server.pid)
        await restart(scene, tmp_path, free_port)
        assert await scene.all_events(launch, closed=False) == [up]
        assert scene.servers.up()[0] == up


REBIND = RESTART.replace(
    'for until in ("go", "never")', "for host, until in (('127.0.0.1', 'go'), ('0.0.0.0', 'never'))"
)
REBIND = REBIND.replace('("0.0.0.0", int', "(host, int")


async def test_a_quick_restart_that_others_can_reach_is_reported(
    watching: Watching, python: Launch, tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_table, "GRACE", 3600.0)
    async with watching() as scene:
        server = python(REBIND, str(free_port))
        await scene.event("up", pid=server.pid)
        await restart(scene, tmp_path, free_port)
        await until_async(lambda: scene.events[2:])
        reported = [(event.status, event.loopback_only, event.pid) for event in scene.events]
        assert reported == [("up", True, server.pid), ("down", True, server.pid), ("up", False, server.pid)]
        assert scene.servers.up() == scene.events[2:]
        assert "loopback" not in scene.servers.advice()


async def test_another_program_on_the_port_is_another_server(
    watching: Watching, python: Launch, free_port: int
) -> None:
    async with watching() as scene:
        first = python(LISTEN + ANSWER + STAY, str(free_port))
        await scene.event("up", pid=first.pid)
        first.kill()
        first.wait()
        second = python(LISTEN + ANSWER + STAY, str(free_port), "another")
        up = await scene.event("up", pid=second.pid)
        assert [(event.status, event.pid) for event in scene.events] == [
            ("up", first.pid), ("down", first.pid), ("up", second.pid),
        ]  # fmt: skip
        assert scene.servers.up() == [up]
