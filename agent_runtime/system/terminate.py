"""Waiting for processes, and ending them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable

import anyio
from anyio import to_thread

from agent_runtime.system.processes import Process, descendants

GRACE = 1.5  # seconds between SIGTERM and SIGKILL
CANCEL_GRACE = 1.0  # at a cancel: in 3 s the call under way ends, then what earlier ones left running
_KILLING = 0.4  # seconds after which what SIGKILL does not end is left to the kernel (state D)
_LOOKS = 10  # without finding anybody: what forks and exits all the time is not found at each


async def ready(*read: int, write: int | None = None) -> None:
    """Wait until one of the descriptors can be read (a pidfd: until its process has ended), or the one be written."""
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
) -> None:
    """End all processes that `find` gives: SIGTERM, at most `grace` seconds, SIGKILL until none is left.

    `find` is asked again and again, for a process may fork while it is being ended. `kill`: blocks, and ends also what
    forks faster than it can be found.
    """
    deadline = time.monotonic() + grace
    asked: set[Process] = set()
    while time.monotonic() < deadline and (living := list(find())):
        for process in living:
            if process not in asked:
                asked.add(process)
                process.send(signal.SIGTERM)
                process.send(signal.SIGCONT)  # a stopped process would not see it
        await ended(living, seconds=0.05)
    if kill:
        await to_thread.run_sync(kill)
    deadline = time.monotonic() + _KILLING
    missed = 0
    while missed < _LOOKS and time.monotonic() < deadline:
        living = list(find())
        missed = 0 if living else missed + 1
        for process in living:
            process.send(signal.SIGKILL)
        await ended(living, seconds=0.05)


async def end_descendants() -> None:
    """End every process that descends from this one."""
    await terminate(lambda: descendants(os.getpid()), grace=CANCEL_GRACE)


async def ended(processes: Iterable[Process], seconds: float) -> None:
    """Wait until all of them have ended, at most so long."""
    with contextlib.ExitStack() as stack:
        fds = []
        for process in processes:
            with contextlib.suppress(OSError):
                fds.append(os.pidfd_open(process.pid))
                stack.callback(os.close, fds[-1])
        with anyio.move_on_after(seconds):
            for fd in fds:
                await ready(fd)
