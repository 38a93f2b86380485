"""Control groups, version 2 (cgroups(7)): the kernel's own account of which processes belong together.

A process starts in its parent's group, and no double fork, new session or cleaned environment takes it out. Groups are
available where the runtime may make one below its own: as root in a VM, seldom in a container. Elsewhere the process
table has to do (see shell.call_processes)."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

_PREFIX = "agent-runtime."
_ROUNDS = 20  # attempts to move out what forks while it is being moved


class ControlGroup:
    """A group of processes, below the one that the runtime itself is in. No limits are set on it.

    Moving a process takes the kernel some 10 ms, and all methods block: call them from a thread."""

    def __init__(self, folder: Path, path: Path) -> None:
        self._folder = folder
        self._path = path  # as the kernel names it

    @classmethod
    def of(cls, pid: int, name: str) -> ControlGroup | None:
        """Create a group that contains a process, and what it starts from now on.

        None where there are no groups, or the runtime may not make one: an older version, read-only, threaded, a limit
        on their number."""
        path, own = _path_of("self"), _own_folder()
        if own is None:
            return None
        _sweep(own)
        group = cls(own / f"{_PREFIX}{name}", path / f"{_PREFIX}{name}")
        try:
            group._folder.mkdir()
        except OSError:
            return None
        try:
            _write(group._folder / "cgroup.procs", pid)
        except OSError:
            group.close()
            return None
        return group

    def holds(self, pid: int) -> bool | None:
        """Whether that process is in it; None when it is in no group of the runtime: it has been moved."""
        path = _path_of(pid)
        known = path.parent == self._path.parent and path.name.startswith(_PREFIX)
        return path == self._path if known else None

    def pids(self) -> list[int]:
        """The processes in it, without zombies."""
        try:
            pids = [int(pid) for pid in (self._folder / "cgroup.procs").read_bytes().split()]
        except OSError:
            return []
        return [pid for pid in pids if pid]  # 0: of a PID namespace that is not visible here

    def kill(self, spare: int = 0) -> None:
        """Send SIGKILL to all processes at once: none escapes by forking (Linux 5.14). `spare` is moved out first."""
        if spare in self.pids():
            self._move_out(spare)
        with contextlib.suppress(OSError):
            _write(self._folder / "cgroup.kill", 1)

    def close(self) -> None:
        """Remove the group. Processes that still run are moved to the runtime's own group."""
        for _ in range(_ROUNDS):
            for inner in sorted(self._folder.rglob("*/"), reverse=True):  # made by what ran in it
                with contextlib.suppress(OSError):
                    inner.rmdir()
            try:
                self._folder.rmdir()
                return
            except OSError as error:
                if error.errno != errno.EBUSY:
                    return
            for pid in self.pids():
                self._move_out(pid)

    def _move_out(self, pid: int) -> None:
        with contextlib.suppress(OSError):
            _write(self._folder.parent / "cgroup.procs", pid)


def speed_up() -> None:
    """Let the next group be made at once. Blocking, some 10 ms.

    That is what the kernel waits for at the first move of a process (rcu_sync); those within 20 ms after it are fast.
    Here this process is moved to where it is.
    """
    if (folder := _own_folder()) is not None:
        with contextlib.suppress(OSError):
            _write(folder / "cgroup.procs", os.getpid())


def available() -> bool:
    """Whether this process may make groups."""
    return _own_folder() is not None


def _sweep(folder: Path) -> None:
    # left by runtimes that were killed; the kernel keeps those that have processes
    for left in folder.glob(f"{_PREFIX}*"):
        if not Path("/proc", left.name.split(".")[1]).exists():
            with contextlib.suppress(OSError):
                left.rmdir()


def _write(file: Path, number: int) -> None:
    fd = os.open(file, os.O_WRONLY | os.O_CLOEXEC)  # never created: something else may be mounted there
    try:
        os.write(fd, str(number).encode())
    finally:
        os.close(fd)


def _own_folder() -> Path | None:
    # a cgroup namespace or a bind mount may show a part of the hierarchy: `root` is what is mounted there
    path = _path_of("self")
    if ".." in path.parts:  # outside of the namespace
        return None
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    for line in mounts:
        mount, _, file_system = line.partition(" - ")
        if file_system.startswith("cgroup2 "):
            root, point = mount.split()[3:5]
            if path.is_relative_to(root):
                folder = Path(point) / path.relative_to(root)
                if os.access(folder / "cgroup.procs", os.W_OK):
                    return folder
    return None


def _path_of(pid: int | str) -> Path:
    # /proc/PID/cgroup has a line `0::PATH` for version 2
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text("utf-8", "surrogateescape").splitlines():
            if line.startswith("0::"):
                return Path(line[3:])
    return Path()
