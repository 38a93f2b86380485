"""What the model reads: true when it is written, and bounded in size."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from agent_runtime.dev_servers import server_table, watcher
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.shell.shell import Shell
from agent_runtime.shell.truncation import OutputStore
from tests.dev_servers.conftest import Launch, Scene, Watching
from tests.dev_servers.scripts import LISTEN, STAY, until_open
from tests.dev_servers.watchers import make_watcher
from tests.shell.conftest import Limit, limits
from tests.support.waiting import until_async

__all__ = ["limits"]

pytestmark = pytest.mark.anyio


def shell_in(folder: Path) -> Shell:
    return Shell(ShellSettings(folder, {"PATH": "/usr/bin:/bin"}, OutputStore(folder)))


@pytest.mark.parametrize(
    "command",
    [
        "python3 -m http.server {port}",  # the time of the call ends it
        "timeout 300 python3 -m http.server {port} & {until_seen}; kill $!",
        "python3 -m http.server {port} & {until_seen}; kill $!",
        "(python3 -m http.server {port} & echo $! > pid); {until_seen}; kill -9 $(cat pid)",
    ],
)
async def test_a_server_that_ends_with_its_call_is_not_reported_as_listening(
    watching: Watching,
    tmp_path: Path,
    free_port: int,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    limits: None,
) -> None:
    monkeypatch.setattr(watcher, "START_TIME", 60.0)
    limit = Limit(100.0)
    shell = shell_in(tmp_path)

    async def report_seen(scene: Scene) -> None:
        await scene.event("up", port=free_port)
        (tmp_path / "seen").touch()
        if "seen" not in command:
            await limit.end_when(lambda: True)

    async with (
        watching(background=shell.background, printed=shell.printed) as scene,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(report_seen, scene)
        try:
            command = command.format(port=free_port, until_seen="until [ -e seen ]; do sleep 0.02; done")
            await shell.run(command, timeout=limit, call_id="1", tokens=1000)
            await scene.servers.settle()
            advice = scene.servers.advice()
        finally:
            await shell.aclose(kill=True)
        up = await scene.event("up", port=free_port)
        assert advice == f"The server on port {free_port} (pid {up.pid}) has stopped listening."
        assert scene.servers.advice() == ""


async def test_a_server_that_restarts_is_reported_when_it_is_there_again(
    watching: Watching, python: Launch, tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_table, "GRACE", 3600.0)
    restart = (
        "import os, socket, time\n"
        f"s = socket.create_server(('0.0.0.0', {free_port}))\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
        "s.close()\n"
        "while not os.path.exists('again'): time.sleep(0.01)\n"
        f"s = socket.create_server(('0.0.0.0', {free_port}))\n"
    )
    async with watching() as scene:
        python(restart + STAY)
        await scene.event("up", port=free_port)
        (tmp_path / "go").touch()
        await until_async(lambda: not scene.servers.up())
        assert scene.servers.advice() == ""  # neither "listening" nor "stopped"
        (tmp_path / "again").touch()
        await until_async(scene.servers.up)
        assert f"listening on port {free_port} " in scene.servers.advice()


async def test_the_end_of_a_server_on_an_ephemeral_port_is_not_reported(
    watching: Watching, python: Launch, free_port: int
) -> None:
    async with watching() as scene:
        ephemeral, fixed = python(LISTEN + STAY), python(LISTEN + STAY, str(free_port))
        internal = (await scene.event("up", pid=ephemeral.pid)).port
        await scene.event("up", pid=fixed.pid)
        for server in (ephemeral, fixed):
            server.kill()
        for port in (internal, free_port):
            await scene.event("down", port=port)
        # a test's server on a port that the kernel chose is not reported
        assert (
            scene.servers.advice()
            == f"The server on port {free_port} (pid {fixed.pid}) has stopped listening."
        )


MANY = """
import socket, sys, time
held = []
for port in range(int(sys.argv[1]), 65536):
    try: held.append(socket.create_server(("127.0.0.1", port)))
    except OSError: continue
    if len(held) == int(sys.argv[2]): break
open("ready", "w")
while not __import__("os").path.exists("go"): time.sleep(0.01)
"""


async def _come_and_go(scene: Scene, tmp_path: Path, count: int) -> list[str]:
    texts: list[str] = []
    with pytest.raises(Exception, match="Nothing listens") as nothing:
        await until_async((tmp_path / "ready").exists)
        await until_async(lambda: len(scene.servers.up()) == count)
        texts += [scene.servers.advice()]
        await scene.servers.locate(1, 0)
    (tmp_path / "go").touch()
    await until_async(lambda: not scene.servers.up() and len(scene.events) == 2 * count)
    return [*texts, str(nothing.value), scene.servers.advice()]


@pytest.mark.parametrize("first", [1100, 61000], ids=["ports", "neighbours"])
async def test_advice_about_three_hundred_servers_is_short(
    watching: Watching, python: Launch, tmp_path: Path, first: int
) -> None:
    async with watching() as scene:
        python(MANY, str(first), "300", "a" * 3000)
        texts = await _come_and_go(scene, tmp_path, 300)
    assert [len(text) < 3000 for text in texts] == [True] * 3
    assert ["listening on port" in text for text in texts] == [True, False, False]
    assert texts[0].count("--host 0.0.0.0") == 1


MIXED = """
import signal, socket, sys
held = [socket.socket() for _ in range(3)]
for each in held: each.bind(("127.0.0.1", 0))
print("Debugger listening on ws://127.0.0.1:%d/x" % held[0].getsockname()[1], flush=True)
for each in held: each.listen()
if len(sys.argv) > 1: held.append(socket.create_server(("0.0.0.0", int(sys.argv[1]))))
signal.pause()
"""


@pytest.mark.parametrize("has_app", [True, False])
async def test_internal_ports_are_listed_when_there_is_no_other_server(
    watching: Watching, python: Launch, tmp_path: Path, free_port: int, has_app: bool
) -> None:
    async with watching() as scene:
        process = python(MIXED, *([str(free_port)] if has_app else []), log=tmp_path / "log")
        await until_async(lambda: len(scene.servers.up()) == 3 + has_app)
        *servers, debugger = scene.servers.advice().splitlines()
        assert debugger.startswith("Port ") and debugger.endswith(
            f"(pid {process.pid}) is open, not for HTTP."
        )
        assert [line.startswith("A server is listening on port ") for line in servers] == [True] * (
            2 - has_app
        )
        assert not has_app or f" port {free_port} " in servers[0]


async def test_servers_that_are_left_running_name_their_log_and_process(
    watching: Watching, tmp_path: Path, free_port: int
) -> None:
    shell = shell_in(tmp_path)
    async with watching(background=shell.background, printed=shell.printed) as scene:
        try:
            command = f"python3 -m http.server {free_port} & {until_open(free_port)}"
            await shell.run(command, timeout=60, call_id="call_1", tokens=1000)
            await scene.servers.settle()
            (left,), (entry,) = scene.servers.left(), shell.background()
        finally:
            await shell.aclose(kill=True)
    assert (left.pid, left.port, left.call_id, left.log_file) == (
        entry.pid,
        free_port,
        "call_1",
        entry.log_file,
    )
    assert left.command == f"python3 -m http.server {free_port}"


def test_there_is_no_advice_without_servers() -> None:
    assert make_watcher().advice() == ""
