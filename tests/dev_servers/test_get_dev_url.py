"""The tool: an address as soon as there is one, and a reason when there is none."""

from __future__ import annotations

import os
import re
import signal
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from agent_runtime.agent.tool import ToolContext
from agent_runtime.dev_servers.watcher import DevServerWatcher
from agent_runtime.errors import ToolError
from agent_runtime.shell.session_manager import SessionManager
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.shell.shell import Shell
from agent_runtime.shell.truncation import OutputStore
from agent_runtime.tools import load
from tests.dev_servers.conftest import Launch, Watching
from tests.dev_servers.scripts import ANSWER, LISTEN, STAY, until_open
from tests.dev_servers.watchers import make_watcher
from tests.support.waiting import until_async

pytestmark = pytest.mark.anyio


async def ask(servers: DevServerWatcher, **arguments: Any) -> str:
    context = cast(ToolContext, type("Context", (), {"servers": servers}))
    return (await load("get_dev_url").call(arguments, context)).text


async def test_get_dev_url_waits_for_the_port(watching: Watching, python: Launch, free_port: int) -> None:
    template = "https://{port}-{sandboxId}.example.com"
    async with watching(template=template, sandbox_id="s1") as scene:
        python("import time\ntime.sleep(0.5)\n" + LISTEN + ANSWER + STAY, str(free_port))
        url = f"https://{free_port}-s1.example.com (inside the sandbox: http://localhost:{free_port})"
        unknown = (
            "\nWhether it speaks HTTP is not known: no request was sent to it (`check: true` sends one)."
        )
        assert await ask(scene.servers, port=free_port, timeout=120) == url + unknown
        assert await ask(scene.servers, port=free_port, check=True) == url
        assert await ask(scene.servers, timeout=0) == await ask(scene.servers, port=free_port)
        await scene.event("up", port=free_port)
        assert len(scene.events) == 1
        assert scene.servers.advice() == ""  # the model knows


async def test_a_loopback_only_server_comes_with_advice(
    watching: Watching, python: Launch, free_port: int
) -> None:
    async with watching() as scene:
        server = python(LISTEN.replace("0.0.0.0", "127.0.0.1") + ANSWER + STAY, str(free_port))
        up = await scene.event("up", pid=server.pid)
        assert "--host 0.0.0.0" in scene.servers.advice()
        assert "--host 0.0.0.0" in await ask(scene.servers, port=up.port)


async def test_without_a_port_a_helper_is_returned_when_no_app_comes(
    watching: Watching, python: Launch, tmp_path: Path, free_port: int
) -> None:
    say = "import sys\nprint(f'API on http://localhost:{sys.argv[1]}', flush=True)\n"
    async with watching() as scene:
        python(say + LISTEN + STAY, str(free_port), log=tmp_path / "log")
        await scene.event("up", port=free_port)
        with anyio.fail_after(100):
            assert f"http://localhost:{free_port}" in await ask(scene.servers, timeout=120)


async def test_get_dev_url_reports_that_nothing_listens(
    watching: Watching, python: Launch, free_port: int
) -> None:
    async with watching() as scene:
        with (
            anyio.fail_after(100),
            pytest.raises(
                ToolError, match=f"Nothing listens on TCP port {free_port}.\nNo server that this run started"
            ),
        ):
            await ask(scene.servers, port=free_port, timeout=0.3)

        other = await scene.event("up", pid=python(LISTEN + ANSWER + STAY).pid)
        with pytest.raises(ToolError, match=f"These ports of the run do listen: {other.port} \\("):
            await ask(scene.servers, port=free_port, timeout=0)


async def test_get_dev_url_reports_that_the_server_has_exited(
    watching: Watching, python: Launch, tmp_path: Path
) -> None:
    async with watching() as scene:
        server = python(LISTEN + ANSWER + STAY, log=tmp_path / "log")
        up = await scene.event("up", pid=server.pid)
        server.kill()
        await scene.event("down", pid=server.pid)
        with pytest.raises(ToolError) as caught:
            await ask(scene.servers, port=up.port, timeout=0)
        assert re.search(
            rf"has exited.*pid {server.pid}; its log: {tmp_path}/log", str(caught.value), re.DOTALL
        )


@pytest.mark.parametrize("arguments", [{"port": 0}, {"port": 65536}, {"timeout": 121}, {"prot": 80}])
async def test_get_dev_url_refuses_invalid_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(ToolError, match="Invalid arguments for get_dev_url"):
        await ask(make_watcher(), **arguments)


async def test_the_call_that_starts_a_server_reports_it(
    watching: Watching, tmp_path: Path, free_port: int
) -> None:
    """A server that listens when its call ends counts at once; nothing waits for one that does not listen yet."""
    shell = Shell(ShellSettings(tmp_path, dict(PATH="/usr/bin:/bin"), OutputStore(tmp_path)))
    (tmp_path / "server.py").write_text("import time; time.sleep(0.1)\n" + LISTEN + ANSWER + SAY + STAY)
    async with watching(background=shell.background) as scene:
        try:
            await shell.run("true", timeout=60, call_id="1", tokens=1000)
            with anyio.fail_after(60):
                assert await scene.servers.settle() == []
            await shell.run(
                f"python3 -u server.py {free_port} & {until_open(free_port)}",
                timeout=60,
                call_id="2",
                tokens=1000,
            )
            with anyio.fail_after(60):
                events = await scene.servers.settle() + scene.events
            (server,) = shell.background()
            assert [(event.pid, event.log_file) for event in events] == [(server.pid, server.log_file)]
            await until_async(lambda: scene.servers.up()[0].url == f"http://localhost:{events[0].port}/base")
            await shell.run("sleep 300 &", timeout=60, call_id="3", tokens=1000)
            with anyio.fail_after(60):
                assert await scene.servers.settle() == []
            with anyio.fail_after(60):
                await shell.run("kill $!; wait $!", timeout=60, call_id="4", tokens=1000)
                await shell.aclose(kill=False)  # the server has another parent now: still nothing to wait for
            await until_async(lambda: not scene.servers._expected(60))  # a log writer may be starting
        finally:
            for server in scene.servers.left():  # the last call has detached it
                os.kill(server.pid, signal.SIGKILL)
            await shell.aclose(kill=True)


async def test_a_base_path_printed_in_a_call_under_way_is_in_the_event(
    watching: Watching, tmp_path: Path, free_port: int
) -> None:
    """The call that started it still runs when the server comes up: nobody else has seen its output."""
    shell = Shell(ShellSettings(tmp_path, dict(PATH="/usr/bin:/bin"), OutputStore(tmp_path)))
    (tmp_path / "server.py").write_text(PRINT_FIRST + LISTEN + ANSWER + STAY)
    async with watching(background=shell.background, printed=shell.printed) as scene:
        try:
            async with anyio.create_task_group() as tasks:
                run = partial(shell.run, timeout=60, call_id="1", tokens=1000)
                tasks.start_soon(run, f"python3 -u server.py {free_port}")
                up = await scene.event("up")
                assert up.pid and up.local_url == f"http://localhost:{free_port}/base"
                os.kill(up.pid, signal.SIGKILL)
        finally:
            await shell.aclose(kill=True)
    assert shell.printed() == []


async def test_a_base_path_printed_to_a_terminal_is_in_the_event(
    watching: Watching, tmp_path: Path, free_port: int
) -> None:
    sessions = SessionManager(ShellSettings(tmp_path, dict(PATH="/usr/bin:/bin"), OutputStore(tmp_path)))
    (tmp_path / "server.py").write_text(PRINT_FIRST.replace("http", "\\x1b[36mhttp") + LISTEN + ANSWER + STAY)
    async with watching(background=lambda: (), printed=sessions.printed) as scene:
        try:
            command = f"python3 -u server.py {free_port}"
            await sessions.open(command, cwd=None, tty=True, seconds=0, tokens=1000, call_id="1")
            up = await scene.event("up")
            assert up.local_url == f"http://localhost:{free_port}/base"
        finally:
            await sessions.aclose(kill=True)
    assert sessions.printed() == []


PRINT_FIRST = "import sys\nprint(f'http://localhost:{sys.argv[1]}/base')\n"
SAY = "\nprint(f'http://localhost:{s.getsockname()[1]}/base')\n"
