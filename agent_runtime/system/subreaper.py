"""Adopting and reaping orphans.

The runtime is a subreaper: a process whose parents have all exited becomes its child, also after a double fork or in a
new session. So all that tools start stays below the runtime, and no zombie is left.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import anyio

from agent_runtime.system.process_tree import children

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def become_subreaper() -> bool:
    """Adopt every orphan among the descendants of this process. Returns False where the kernel refuses."""
    import ctypes  # costs milliseconds of a start

    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


class Subreaper:
    """Reaps orphans that this process adopts, as a subreaper or as PID 1, and that nobody waits for.

    A child that this program has started is left to whoever started it. It differs from an orphan by its session
    (orphans of tools are in another) or by a pidfd that this process holds of it.
    """

    def __init__(self) -> None:
        # by exec: not started by this program
        self._inherited = {child.pid for child in children(os.getpid())}

    async def run(self) -> None:
        """Reap at every SIGCHLD, until cancelled. Must be called in the main thread."""
        with _child_signal() as descriptor:
            while True:
                self.reap()
                await anyio.wait_readable(descriptor)
                os.read(descriptor, 4096)

    def reap(self) -> int:
        """Reap all orphans that have ended; returns their number."""
        if not _any_zombie():
            return 0
        session, held, count = os.getsid(0), set(_held()), 0
        for child in children(os.getpid()):
            orphan = child.session != session or child.pid in self._inherited
            if child.gone and orphan and child.pid not in held:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(child.pid, os.WNOHANG)
                    count += 1
        return count


@contextlib.contextmanager
def _child_signal() -> Iterator[int]:
    """Yield a descriptor that becomes readable at every SIGCHLD.

    The handler is never removed. When a signal arrives while its handler is replaced by SIG_DFL or SIG_IGN, Python
    prints a traceback ("ignored due to race condition", PyErr_CheckSignals), and children end at any time.
    """
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _nothing)
    signal.siginterrupt(signal.SIGCHLD, False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(previous)
        os.close(reader)
        os.close(writer)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Handle a signal whose number the wakeup descriptor receives."""


def _any_zombie() -> bool:
    with contextlib.suppress(ChildProcessError):
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return False


def _held() -> Iterator[int]:
    for path in Path("/proc/self/fdinfo").iterdir():
        with contextlib.suppress(OSError, ValueError):
            for line in path.read_text().splitlines():
                if line.startswith("Pid:"):
                    yield int(line[4:])
