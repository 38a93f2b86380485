"""Processes: starting them clean, finding whatever descends from them, ending them, and leaving no zombie.

The runtime is a subreaper: a process whose parents have all exited becomes its child, wherever it went
(double fork, new session), so nothing that a tool starts can leave this family. Which call an orphan came
from is told by the variable MARK in its environment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from agent_runtime.sandbox.landlock import Confinement

MARK = "AGENT_RUNTIME_CALL"
GRACE = 1.5  # seconds between SIGTERM and SIGKILL: a cancelled run ends within 3 s
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def become_subreaper() -> bool:
    """Adopt every orphan among the descendants of this process. False where the kernel refuses."""
    import ctypes  # costs milliseconds of a start

    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


@dataclass(frozen=True)
class Process:
    """A row of the process table. `start` (clock ticks since boot) makes a reused pid another process."""

    pid: int
    ppid: int
    session: int
    state: str
    start: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process of that pid, or None (proc_pid_stat(5))."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            return None
        fields = stat[stat.rindex(b")") + 2 :].split()
        return cls(pid, int(fields[1]), int(fields[3]), fields[0].decode(), int(fields[19]))

    @property
    def gone(self) -> bool:
        """Dead, and perhaps not yet reaped."""
        return self.state in "ZX"

    @property
    def command(self) -> str:
        """Its command line, on one line; the name alone where there is none."""
        words = _read(self.pid, "cmdline").replace(b"\0", b" ").decode("utf-8", "replace").split()
        return " ".join(words) or _read(self.pid, "comm").decode("utf-8", "replace").strip()

    @property
    def mark(self) -> str | None:
        """The value of MARK that it was started with."""
        for entry in _read(self.pid, "environ").split(b"\0"):
            if entry.startswith(MARK.encode() + b"="):
                return entry[len(MARK) + 1 :].decode("utf-8", "replace")
        return None

    def send(self, number: int) -> None:
        """Signal it, unless the pid is another's by now."""
        with contextlib.suppress(OSError):
            fd = os.pidfd_open(self.pid)
            try:
                now = Process.of(self.pid)
                if now is not None and now.start == self.start:
                    signal.pidfd_send_signal(fd, number)
            finally:
                os.close(fd)


def children(pid: int) -> list[Process]:
    """The children of a process, those of all its threads."""
    try:
        lists = [path.read_bytes() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        lists = []
    if lists or not Path(f"/proc/{pid}/stat").exists():
        return _existing(int(child) for found in lists for child in found.split())
    # a kernel without CONFIG_PROC_CHILDREN
    numbers = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    return [process for process in _existing(numbers) if process.ppid == pid]


def descendants(pid: int, *, skip: Callable[[Process], bool] = lambda _: False) -> list[Process]:
    """All living processes below `pid`, parents first. A process that `skip` names is left out with all below
    it.
    """
    found: list[Process] = []
    waiting = [pid]
    while waiting:
        for child in children(waiting.pop()):
            if not skip(child):
                found.append(child)
                waiting.append(child.pid)
    return [process for process in found if not process.gone]


def kill_descendants() -> None:
    """SIGKILL to all that this process has started, however it was detached. Waits for nothing."""
    for process in descendants(os.getpid()):
        process.send(signal.SIGKILL)


def spawn(
    args: Sequence[str],
    *,
    cwd: str | Path,
    env: Mapping[str, str],
    stdin: int,
    stdout: int,
    stderr: int,
    pass_fds: Sequence[int] = (),
    user: str | None = None,
    confine: Confinement | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, with no controlling terminal and nothing of ours: no
    descriptors, no blocked and no ignored signals. `user`: whom it runs as, all groups of that user included.
    `confine`: where it may write, and all that it starts.
    """
    unignore_signals()
    entry = pwd.getpwnam(user) if user else None

    def start() -> subprocess.Popen[bytes]:
        blocked = signal.pthread_sigmask(signal.SIG_SETMASK, ())
        try:
            return subprocess.Popen(
                args,
                cwd=cwd,
                env=dict(env),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=pass_fds,
                start_new_session=True,
                user=entry.pw_uid if entry else None,
                group=entry.pw_gid if entry else None,
                extra_groups=os.getgrouplist(entry.pw_name, entry.pw_gid) if entry else None,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    return confine(start) if confine else start()


def identity(user: str) -> dict[str, str]:
    """The variables that say who somebody is. Raises KeyError when there is no such user."""
    entry = pwd.getpwnam(user)
    return {"USER": user, "LOGNAME": user, "HOME": entry.pw_dir}


def unignore_signals() -> None:
    """Ignore by a handler what was ignored by SIG_IGN, which children inherit (nohup, a background job)."""
    if threading.current_thread() is not threading.main_thread():
        return
    restored_by_popen = {signal.SIGPIPE, signal.SIGXFSZ}
    for number in signal.valid_signals() - restored_by_popen:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


async def ready(*read: int, write: int | None = None) -> None:
    """Wait until one of the descriptors can be read (a pidfd: until its process has ended), or the one be
    written.
    """
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


async def terminate_tree(find: Callable[[], Iterable[Process]], *, grace: float = GRACE) -> None:
    """End all processes that `find` gives: SIGTERM, at most `grace` seconds, SIGKILL until none is left.

    `find` is asked again and again, for a process may fork while it is being ended.
    """
    deadline = time.monotonic() + grace
    asked: set[tuple[int, int]] = set()
    while living := [process for process in find() if not process.gone]:
        kill = time.monotonic() >= deadline
        for process in living:
            if kill:
                process.send(signal.SIGKILL)
            elif (process.pid, process.start) not in asked:
                asked.add((process.pid, process.start))
                process.send(signal.SIGTERM)
                process.send(signal.SIGCONT)  # a stopped process would not see it
        await ended(living, seconds=0.05)
        if time.monotonic() > deadline + 1.0:
            return  # uninterruptible (state D): the kernel ends it when it can


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


class Reaper:
    """Reaps what nobody waits for: orphans that this process, as a subreaper or as PID 1, has been given.

    A child of this program's own is left to whoever started it. It is told from an orphan by its session
    (orphans of tools are in another) or by a pidfd that this process holds of it."""

    def __init__(self) -> None:
        self._inherited = {
            child.pid for child in children(os.getpid())
        }  # by exec: not started by this program

    async def run(self) -> None:
        """Reap at every SIGCHLD, until cancelled."""
        with anyio.open_signal_receiver(signal.SIGCHLD) as signals:
            self.reap()
            async for _ in signals:
                self.reap()

    def reap(self) -> int:
        """Reap all orphans that are dead by now; how many."""
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


def _existing(pids: Iterable[int]) -> list[Process]:
    return [process for process in map(Process.of, pids) if process is not None]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
