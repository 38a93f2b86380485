"""Waiting for processes, and ending them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterable

import anyio

from agent_runtime.system.process_tree import descendants
from agent_runtime.system.processes import Process
from agent_runtime.system.spawn import spawn
from agent_runtime.system.threads import run_in_thread

GRACE = 1.5  # seconds between SIGTERM and SIGKILL
CANCEL_GRACE = 1.0  # at a cancel: in 3 s the call under way ends, then what earlier ones left running
_KILLING = 0.4  # seconds after which what SIGKILL does not end is left to the kernel (state D)
_LOOKS = 10  # without finding a process: what forks and exits all the time is not found each time
_SUDO_SECONDS = 0.5


async def ready(*read: int, write: int | None = None) -> None:
    """Wait until one of the descriptors can be read (a pidfd: its process has ended), or `write` can be written."""
    loop = asyncio.get_running_loop()
    happened: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not happened.done():
            happened.set_result(None)

    for fd in read:
        loop.add_reader(fd, wake)
    if write is not None:
        loop.add_writer(write, wake)
    try:
        await happened
    finally:
        for fd in read:
            loop.remove_reader(fd)
        if write is not None:
            loop.remove_writer(write)


async def terminate(
    find: Callable[[], Iterable[Process]], *, grace: float = GRACE, kill: Callable[[], None] | None = None
) -> list[Process]:
    """End processes: SIGTERM, at most `grace` seconds, SIGKILL until none is left.

    Args:
        find: gives the processes. It is called again and again, for a process may fork while it is being ended.
        grace: seconds.
        kill: blocks, and ends also what forks faster than it can be found.

    Returns:
        What still lives: processes of other users, which are not waited for, and those that SIGKILL does not end.
    """
    refused: set[Process] = set()
    deadline = time.monotonic() + grace
    asked: set[Process] = set()
    while time.monotonic() < deadline and (
        living := [process for process in find() if process not in refused]
    ):
        for process in living:
            if process not in asked:
                asked.add(process)
                if not process.send(signal.SIGTERM):
                    refused.add(process)
                process.send(signal.SIGCONT)  # a stopped process would not see it
        await ended([process for process in living if process not in refused], seconds=0.05)
    if refused:
        await _terminate_by_sudo(refused)
    if kill:
        await run_in_thread(kill)
    deadline = time.monotonic() + _KILLING
    missed = 0
    while missed < _LOOKS and time.monotonic() < deadline:
        living = [process for process in find() if process not in refused]
        missed = 0 if living else missed + 1
        refused |= {process for process in living if not process.send(signal.SIGKILL)}
        await ended([process for process in living if process not in refused], seconds=0.05)
    return [process for process in find() if process.lives]


def describe(process: Process) -> str:
    """Describe a process that could not be ended, and why."""
    user = process.user
    own = not user or process.send(0)
    why = "it does not end" if own else f"it belongs to {user}, not to the user of this program"
    return f"pid {process.pid} ({process.command[:200]}): {why}"


async def _terminate_by_sudo(processes: Collection[Process]) -> None:
    """End what was started by sudo the same way, where that asks for no password."""
    sudo = shutil.which("sudo")
    if sudo is None or not any("sudo" in process.command.split(" ")[0] for process in processes):
        return
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        for name, seconds in (("TERM", _KILLING), ("KILL", _KILLING / 2)):
            pids = [str(process.pid) for process in processes if process.lives]
            if not pids:
                return
            args = [sudo, "-n", "kill", f"-{name}", *pids]
            env = {"PATH": os.environ.get("PATH", os.defpath)}
            started = spawn(args, cwd="/", env=env, stdin=null, stdout=null, stderr=null)
            with contextlib.suppress(subprocess.TimeoutExpired):
                await run_in_thread(started.wait, _SUDO_SECONDS)
            await ended(processes, seconds)
    except OSError:  # it cannot be started
        return
    finally:
        os.close(null)


async def end_descendants() -> None:
    """End every process that descends from this one."""
    await terminate(lambda: descendants(os.getpid()), grace=CANCEL_GRACE)


async def ended(processes: Iterable[Process], seconds: float) -> None:
    """Wait until all of the processes have ended, at most this many seconds."""
    with contextlib.ExitStack() as stack:
        fds = []
        for process in processes:
            with contextlib.suppress(OSError):
                fds.append(os.pidfd_open(process.pid))
                stack.callback(os.close, fds[-1])
        with anyio.move_on_after(seconds):
            for fd in fds:
                await ready(fd)
