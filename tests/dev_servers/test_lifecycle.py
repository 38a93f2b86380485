"""How servers come and go: late, as daemons, dying, with workers, asked for at once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import anyio
import pytest

from agent_runtime.dev_servers import server_table, watcher
from agent_runtime.dev_servers.socket_owners import MARKER
from agent_runtime.protocol.events import DevUrlEvent
from agent_runtime.shell.call_processes import Background
from agent_runtime.system.processes import Process
from tests.dev_servers.conftest import Launch, Watching
from tests.dev_servers.scripts import ANSWER, LISTEN, STAY, UNTIL_GO
from tests.dev_servers.watchers import listening_port, make_watcher
from tests.support.waiting import until_async

pytestmark = pytest.mark.anyio

# Two forks; goes on when both parents have ended, for until then it descends from who started it.
DAEMONISE = """
import os, time
for setsid in (os.setsid, lambda: None):
    parent = os.getpid()
    if os.fork(): os._exit(0)
    while os.getppid() == parent: time.sleep(0.01)
    setsid()
open("pid", "w").write(str(os.getpid()))
"""


async def test_a_silent_server_is_an_address_to_open(watching: Watching, python: Launch) -> None:
    async with watching() as scene:
        up = await scene.event("up", pid=python(LISTEN + STAY).pid)
        assert up.http is None
        assert scene.servers.latest() == up
        assert [event.port for event in scene.servers.up()] == [up.port]


async def test_a_url_that_is_printed_late_is_known(
    watching: Watching, python: Launch, tmp_path: Path
) -> None:
    say = "print(f'http://localhost:{s.getsockname()[1]}/app', flush=True)\n"
    async with watching() as scene:
        server = python(LISTEN + UNTIL_GO + say + STAY, log=tmp_path / "log")
        up = await scene.event("up", pid=server.pid)
        assert (up.http, up.url) == (None, f"http://localhost:{up.port}")
        (tmp_path / "go").touch()
        await until_async(lambda: scene.servers.up()[0].http)
        assert scene.servers.up() == [
            up.model_copy(update={"http": True, "url": f"{up.url}/app", "local_url": f"{up.url}/app"})
        ]
        assert scene.events == [up]


async def test_a_server_that_listens_late_is_reported(
    watching: Watching, python: Launch, tmp_path: Path
) -> None:
    async with watching() as scene:
        server = python(UNTIL_GO + LISTEN + ANSWER + STAY)
        assert await scene.servers.settle() == []
        (tmp_path / "go").touch()
        await scene.event("up", pid=server.pid)


async def test_a_server_that_exits_is_reported_as_down(
    watching: Watching, python: Launch, tmp_path: Path, free_port: int
) -> None:
    async with watching() as scene:
        server = python(LISTEN + UNTIL_GO, str(free_port))
        up = await scene.event("up", pid=server.pid)
        (tmp_path / "go").touch()
        await scene.event("down", pid=server.pid)
        assert scene.statuses() == [("up", up.port), ("down", up.port)]
        assert (
            scene.servers.advice()
            == f"The server on port {up.port} (pid {server.pid}) has stopped listening."
        )


async def test_a_daemonized_server_still_belongs_to_the_run(
    watching: Watching, python: Launch, tmp_path: Path, subreaper: None
) -> None:
    async with watching() as scene:
        parent = python(DAEMONISE + LISTEN + ANSWER + STAY)
        up = await scene.event("up")
        daemon = int((tmp_path / "pid").read_text())
        process = Process.of(daemon)
        assert up.pid == daemon != parent.pid
        assert process and process.ppid == os.getpid()
        os.kill(daemon, signal.SIGKILL)
        await until_async(lambda: os.waitpid(daemon, os.WNOHANG)[0])
        await scene.event("down", pid=daemon)


@pytest.mark.usefixtures("no_subreaper")
async def test_an_escaped_daemon_is_recognized_by_its_environment(
    watching: Watching, python: Launch, launch: Launch, tmp_path: Path
) -> None:
    marker = f"run_{os.getpid()}"  # another process may run this test at the same time
    async with watching(marker=marker) as scene:
        python(DAEMONISE + LISTEN + ANSWER + STAY, env={**os.environ, MARKER: marker})
        other = python(
            DAEMONISE.replace('"pid"', '"other"') + LISTEN + STAY, env={**os.environ, MARKER: "run_another"}
        )
        up = await scene.event("up")
        daemon = int((tmp_path / "pid").read_text())
        assert (up.pid, [left.pid for left in scene.servers.left()]) == (daemon, [daemon])
        other.wait()
        await until_async(lambda: (tmp_path / "other").exists() and (tmp_path / "other").read_text())
        escaped = int((tmp_path / "other").read_text())
        await until_async(lambda: listening_port(escaped))
        assert [event.pid for event in await scene.all_events(launch)] == [daemon]
        for name in ("pid", "other"):
            os.kill(int((tmp_path / name).read_text()), signal.SIGKILL)


async def test_the_socket_outlives_the_process_that_made_it(
    watching: Watching, python: Launch, tmp_path: Path, subreaper: None
) -> None:
    """The listener forks and its parent exits: the port never closed, and its process is the one left."""
    async with watching() as scene:
        parent = f"    {UNTIL_GO.strip()}\n    os._exit(0)".replace("\nwhile", "\n    while")
        python(LISTEN + f"import os\nif os.fork():\n{parent}\n" + ANSWER + STAY)
        up = await scene.event("up")
        (tmp_path / "go").touch()
        await until_async(lambda: scene.servers.up() != [up])
        (now,) = scene.servers.up()
        assert now.pid and now == up.model_copy(update={"pid": now.pid})
        assert scene.events == [up]
        os.kill(now.pid, signal.SIGKILL)
        await until_async(lambda: os.waitpid(now.pid or 0, os.WNOHANG)[0])


async def test_workers_are_one_server_led_by_their_parent(watching: Watching, python: Launch) -> None:
    async with watching() as scene:
        leader = python(LISTEN + "import os\nfor _ in range(3):\n  if not os.fork(): break\n" + ANSWER + STAY)
        up = await scene.event("up")
        assert up.pid == leader.pid
        assert [left.pid for left in scene.servers.left()] == [leader.pid]
        assert scene.events == [up]


async def test_settle_and_watch_share_each_event_once(
    watching: Watching, python: Launch, launch: Launch
) -> None:
    async with watching() as scene:
        pids = {python(LISTEN + ANSWER + STAY).pid for _ in range(4)}
        settled: list[DevUrlEvent] = []
        with anyio.fail_after(60):
            while len(settled + scene.events) < len(pids):
                settled += await scene.servers.settle()
        emitted = await scene.all_events(launch)
        assert sorted(event.pid or 0 for event in settled + emitted) == sorted(pids)


async def test_the_final_scan_reports_the_current_state(python: Launch) -> None:
    servers = make_watcher()
    stays, dies = python(LISTEN + ANSWER + STAY), python(LISTEN + ANSWER + STAY)
    assert await servers.wait_for(None, 60)
    ups: list[int | None] = []
    with anyio.fail_after(60):
        while len(ups) < 2:
            ups += [event.pid for event in await servers.settle()]
    assert set(ups) == {stays.pid, dies.pid}
    dies.kill()
    dies.wait()
    assert [(event.status, event.pid) for event in await servers.finish()] == [("down", dies.pid)]
    assert [event.pid for event in servers.up()] == [stays.pid]


async def test_the_final_scan_does_not_wait_for_servers_that_are_gone(
    watching: Watching, python: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancelled run has little time to end in."""
    monkeypatch.setattr(server_table, "GRACE", 3600.0)
    monkeypatch.setattr(watcher, "START_TIME", 3600.0)
    async with watching() as scene:
        server = python(LISTEN + STAY)
        await scene.event("up", pid=server.pid)
        server.kill()
        server.wait()
        with anyio.fail_after(60):
            events = await scene.servers.finish()
        await until_async(lambda: [e.status for e in scene.events + events] == ["up", "down"])


async def test_a_scan_uses_little_cpu(watching: Watching) -> None:
    async with watching() as scene:
        await scene.servers.settle()
        began = time.process_time()
        for _ in range(50):
            await scene.servers.settle()
        assert (time.process_time() - began) / 50 < 0.01


@pytest.mark.parametrize(("age", "waits"), [(0.0, True), (3600.0, False)])
async def test_the_end_of_a_run_waits_for_processes_that_have_just_started(
    age: float, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(Process, "age", property(lambda process: age))
    monkeypatch.setattr(watcher, "START_TIME", 0.01)
    sleep = anyio.sleep

    async def recorded(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr(anyio, "sleep", recorded)
    left = Background(os.getpid(), "a program", None, time.time(), "call_1")
    await make_watcher(background=lambda: [left]).finish()
    assert bool(slept) is waits
