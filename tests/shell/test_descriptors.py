"""At the limit of open descriptors a call fails or succeeds; it leaves no descriptor, process or group behind."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.errors import ToolError
from agent_runtime.mcp.config import ServerConfig
from agent_runtime.mcp.process import LaunchSettings, ServerProcess
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell.session_manager import SessionManager
from agent_runtime.system.process_tree import children
from tests.support.waiting import until_async

from .conftest import PATIENT, Bench, start

pytestmark = pytest.mark.anyio

_MOST = 12  # free descriptors, of which no call needs more


@contextmanager
def only(free: int) -> Iterator[None]:
    """Let this process have so many descriptors that it may still open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(open_ones()) + 2 * _MOST, hard))
    taken: list[int] = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        for _ in range(free):
            os.close(taken.pop())
    try:
        yield
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_ones() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/fd")}  # noqa: PTH208


async def nothing_is_left(call: Callable[[], Coroutine[Any, Any, ToolOutput]], needed: str) -> None:
    """Make a call with each number of free descriptors.

    Args:
        call: makes it.
        needed: is in the output when the call succeeds, which it does with the most descriptors.
    """
    assert needed in (await call()).text
    before, programs = open_ones(), set(children(os.getpid()))
    result: ToolOutput | None = None
    for free in range(_MOST + 1):
        result = None
        with only(free):
            try:
                result = await call()
            except ToolError as error:
                assert "cannot be started: " in str(error)
        assert result is None or needed in result.text
        await until_async(lambda: open_ones() <= before)
        await until_async(lambda: {one for one in children(os.getpid()) if not one.gone} <= programs)
    assert result is not None


@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "terminal"])
@pytest.mark.parametrize("command", ["echo hello", "echo hello; exit; rg x"])
async def test_of_a_session(sessions: SessionManager, command: str, tty: bool) -> None:
    await nothing_is_left(lambda: start(sessions, command, tty=tty), "hello")
    assert not sessions._sessions


async def test_of_a_shell(sh: Bench) -> None:
    programs = set(children(os.getpid()))
    await nothing_is_left(lambda: sh("echo hello; exit 3"), "hello")
    assert set(children(os.getpid())) <= programs


async def test_of_a_server(home: Path) -> None:
    settings = LaunchSettings(home, dict(os.environ))
    server = ServerConfig("server", command=("cat",))
    before = open_ones()
    outcomes = []
    for free in range(_MOST + 1):
        process = None
        with only(free), suppress(OSError):
            process = ServerProcess(server, settings)
        outcomes.append(process is not None)
        if process:
            await process.end(at_once=True)
        assert open_ones() <= before
    assert outcomes == sorted(outcomes)
    assert outcomes[-1]


async def test_of_a_call_that_leaves_a_process(sh: Bench) -> None:
    for free in range(4):
        with only(free):
            try:
                result = await sh("sleep 600 & echo hello", timeout=PATIENT)
            except ToolError as error:
                assert "cannot be started: " in str(error)
            else:
                assert "hello" in result.text
    assert "hello" in (await sh("echo hello")).text
