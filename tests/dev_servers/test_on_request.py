"""Servers that something older than the run starts for it: tmux, a supervisor, a loop that reads commands."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest

from agent_runtime.dev_servers.socket_owners import MARKER
from tests.dev_servers.conftest import Launch, Scene, Watching
from tests.dev_servers.watchers import DAEMON, ask, run_words
from tests.support.waiting import until_async

pytestmark = pytest.mark.anyio

# As DAEMON, below a process whose command line is that of another runtime.
OTHER_RUNTIME = f"""
import os, subprocess, sys
subprocess.Popen([sys.executable, "-c", {DAEMON!r}]).wait()
"""


def serve(port: int) -> str:
    return f"exec {sys.executable} -c 'import http.server as h; h.test(port={port}, bind=\"127.0.0.1\")'"


@asynccontextmanager
async def daemon(
    watching: Watching, python: Launch, folder: Path, source: str = DAEMON, *arguments: str
) -> AsyncIterator[Scene]:
    """A run below another process than the daemon, in the workspace `folder/workspace`."""
    (folder / "workspace").mkdir()
    os.mkfifo(folder / "commands")
    python(source, *arguments)
    runtime = python("import signal\nsignal.pause()")
    await until_async((folder / "ready").exists)
    async with watching(root_pid=runtime.pid, workspace=folder / "workspace") as scene:
        yield scene


async def test_a_server_whose_directory_is_the_workspace_belongs_to_the_run(
    watching: Watching, python: Launch, tmp_path: Path, free_port: int
) -> None:
    async with daemon(watching, python, tmp_path) as scene:
        ask(tmp_path, tmp_path / "workspace", serve(free_port))
        up = await scene.event("up", port=free_port)
        assert scene.servers.latest() == up


async def test_a_server_named_by_an_earlier_call_belongs_to_the_run(
    watching: Watching, python: Launch, tmp_path: Path, free_port: int
) -> None:
    async with daemon(watching, python, tmp_path) as scene:
        scene.servers.note_call(json.dumps({"command": f"tmux new-window '{serve(free_port)}'"}))
        ask(tmp_path, "/", serve(free_port))
        await scene.event("up", port=free_port)


@pytest.mark.parametrize("before", [True, False])
async def test_a_server_elsewhere_of_which_only_the_port_was_named_is_not_of_the_run(
    watching: Watching, python: Launch, tmp_path: Path, free_port: int, before: bool
) -> None:
    """As a server that the user starts, and that the agent waits for."""
    async with daemon(watching, python, tmp_path) as scene:
        if before:
            scene.servers.note_call(f"until curl localhost:{free_port}; do sleep 1; done")
        ask(tmp_path, "/", serve(free_port))
        found = await scene.servers.wait_for(free_port, 60)
        scene.servers.note_call(serve(free_port))  # the server exists already
        in_workspace = partial(run_words, tmp_path, tmp_path / "workspace")
        assert found and (found.pid, await scene.all_events(in_workspace)) == (None, [])


async def test_a_server_below_another_runtime_is_not_of_the_run(
    watching: Watching, python: Launch, tmp_path: Path, free_port: int
) -> None:
    async with daemon(watching, python, tmp_path, OTHER_RUNTIME, "agent-runtime") as scene:
        ask(tmp_path, tmp_path / "workspace", serve(free_port))
        found = await scene.servers.wait_for(free_port, 60)
        assert found and (found.pid, scene.events) == (None, [])


async def test_a_server_of_another_run_is_not_of_the_run(
    watching: Watching, python: Launch, tmp_path: Path, free_port: int
) -> None:
    """Which has ended and left it, and whose command is one of this run's too."""
    async with daemon(watching, python, tmp_path) as scene:
        scene.servers.note_call(serve(free_port))
        ask(tmp_path, tmp_path / "workspace", f"export {MARKER}=run_other; {serve(free_port)}")
        found = await scene.servers.wait_for(free_port, 60)
        assert found and (found.pid, scene.events) == (None, [])


async def test_a_server_that_the_daemon_of_an_earlier_run_starts_belongs_to_the_run(
    watching: Watching, python: Launch, tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that the daemon starts carries the id of the run that has started the daemon."""
    monkeypatch.setenv(MARKER, "run_earlier")
    async with daemon(watching, python, tmp_path) as scene:
        ask(tmp_path, tmp_path / "workspace", serve(free_port))
        await scene.event("up", port=free_port)


async def test_an_earlier_server_that_restarts_is_not_of_the_run(
    watching: Watching, python: Launch, tmp_path: Path, free_port: int
) -> None:
    """As with nodemon, when the run edits a file."""
    earlier = socket.create_server(("", free_port))
    async with daemon(watching, python, tmp_path) as scene:
        earlier.close()
        ask(tmp_path, tmp_path / "workspace", serve(free_port))
        found = await scene.servers.wait_for(free_port, 60)
        assert found and (found.pid, scene.events) == (None, [])


@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")
async def test_a_server_in_the_tmux_of_an_earlier_run_is_reported(
    watching: Watching, python: Launch, tmp_path: Path, free_port: int
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    tmux = ["tmux", "-S", str(tmp_path / "socket"), "-f", "/dev/null"]
    await anyio.run_process([*tmux, "new-session", "-d", "-s", "dev", "sleep 600"], cwd=workspace)
    try:
        runtime = python("import signal\nsignal.pause()")
        async with watching(root_pid=runtime.pid, workspace=workspace) as scene:
            await anyio.run_process([*tmux, "new-window", "-t", "dev", serve(free_port)], cwd=workspace)
            await scene.event("up", port=free_port)
    finally:
        await anyio.run_process([*tmux, "kill-server"])
