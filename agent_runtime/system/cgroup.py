"""Control groups, version 2 (cgroups(7)): the kernel's own account of which processes belong together.

A process starts in its parent's group, and no double fork, new session or cleaned environment takes it out. Groups are
available where the runtime may make one below its own: as root in a VM, seldom in a container. Elsewhere the process
table has to do (see shell.call_processes)."""

from __future__ import annotations

import contextlib
import errno
import os
from functools import lru_cache
from pathlib import Path

from agent_runtime.system.kernel_files import read, write

_PREFIX = "agent-runtime."
_LINKS = 2  # of a folder without folders
_ROUNDS = 20  # attempts to move out what forks while it is being moved


class ControlGroup:
    """A group of processes, below the one that the runtime itself is in. No limits are set on it."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = folder
        self._prefix = prefix  # of the paths of all groups of the runtime, as the kernel names them
        self._path = prefix + folder.name.removeprefix(_PREFIX)

    @classmethod
    def create(cls, name: str) -> ControlGroup | None:
        """Create an empty group.

        None where there are no groups, or the runtime may not make one: an older version, read-only, a limit on their
        number.
        """
        path = _path_of("self")
        if (own := _swept_folder(path)) is None:
            return None
        # runtimes in several PID namespaces may have the same pid
        folder = own / f"{_PREFIX}{name}.{os.urandom(4).hex()}"
        try:
            folder.mkdir()
        except OSError:
            return None
        return cls(folder, f"{path.rstrip('/')}/{_PREFIX}")

    @classmethod
    def of(cls, pid: int, name: str) -> ControlGroup | None:
        """Create a group that contains a process, and what it starts from now on. See `create`.

        Blocking: the kernel takes some 10 ms to move a process. One that moves itself costs only itself that time, see
        `entrance`.
        """
        if (group := cls.create(name)) is None:
            return None
        try:
            write(f"{group._folder}/cgroup.procs", pid)
        except OSError:  # as in a threaded hierarchy
            group.close()
            return None
        return group

    def entrance(self) -> int:
        """Return a descriptor: a process of any user that writes 0 to it enters the group, where one may be moved to
        it (Linux 5.16; before, only a process that may write to the file itself). Raises OSError.

        The group is made again when it has gone: others may remove it while it is empty, as tools and runtimes in other
        PID namespaces.
        """
        with contextlib.suppress(FileExistsError):
            self._folder.mkdir()
        return os.open(self._folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)

    def holds(self, pid: int) -> bool | None:
        """Whether that process is in it, or in a group below; None when it is in no group of the runtime: it has been
        moved.
        """
        path = _path_of(pid)
        if not path.startswith(self._prefix):
            return None
        return f"{path}/".startswith(f"{self._path}/")

    def pids(self) -> list[int]:
        """The processes in it and in the groups below, without zombies."""
        found = [pid for folder in (self._folder, *_below(self._folder)) for pid in _pids_in(folder)]
        return [pid for pid in found if pid]  # 0: of a PID namespace that is not visible here

    @property
    def is_frozen(self) -> bool:
        """Whether its processes are stopped (`cgroup.freeze`): one that enters it is, too."""
        return read(f"{self._folder}/cgroup.freeze").strip() not in (b"0", b"")

    @property
    def is_as_created(self) -> bool:
        """Whether it is empty, and what ran in it has changed nothing of it. Limits can only have been set where it has
        controllers, and are not looked at: with any, this is False.
        """
        return (
            b"populated 0" in read(f"{self._folder}/cgroup.events")
            and read(f"{self._folder}/cgroup.type").strip() == b"domain"
            and not read(f"{self._folder}/cgroup.controllers").strip()
            and not self.is_frozen
            and not _below(self._folder)
        )

    def kill(self, spare: int = 0) -> None:
        """Send SIGKILL to all processes at once: none escapes by forking (Linux 5.14). `spare` is moved out first."""
        if spare in self.pids():
            self._move_out(spare)
        with contextlib.suppress(OSError):
            write(f"{self._folder}/cgroup.kill", 1)

    def remove(self) -> bool:
        """Remove the group, unless there are processes or groups in it. Returns whether it has gone."""
        try:
            self._folder.rmdir()
        except OSError as error:
            return error.errno != errno.EBUSY
        return True

    def close(self) -> None:
        """Remove the group. Blocking: processes that still run are moved to the runtime's own group."""
        for _ in range(_ROUNDS):
            if self.remove():
                return
            for pid in self.pids():
                self._move_out(pid)
            _remove_inner(self._folder)

    def _move_out(self, pid: int) -> None:
        with contextlib.suppress(OSError):
            write(f"{self._folder.parent}/cgroup.procs", pid)


def speed_up() -> None:
    """Let the next group be made at once. Blocking, some 10 ms.

    That is what the kernel waits for at the first move of a process (rcu_sync); those within 20 ms after it are fast.
    Here this process is moved to where it is.
    """
    if folder := own_folder():
        with contextlib.suppress(OSError):
            write(f"{folder}/cgroup.procs", os.getpid())


def own_folder() -> Path | None:
    """The folder of the group that this process is in; None where it may not make groups there."""
    return _folder_of(_path_of("self"))


@lru_cache(maxsize=1)
def _swept_folder(path: str) -> Path | None:
    """The folder of the runtime's own group, without groups left by runtimes that were killed. The kernel keeps those
    that have processes.
    """
    folder = _folder_of(path)
    for left in folder.glob(f"{_PREFIX}*") if folder else ():
        pid = left.name.split(".")[1]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            _remove_inner(left)
            with contextlib.suppress(OSError):
                left.rmdir()
    return folder


def _below(folder: Path) -> list[Path]:
    """The groups below a group, which what ran in it has made; each comes after those that contain it."""
    try:
        if folder.stat().st_nlink == _LINKS:
            return []
        return sorted(folder.rglob("*/"))
    except OSError:  # it has gone
        return []


def _remove_inner(folder: Path) -> None:
    """Remove the groups below a group that are empty."""
    for inner in reversed(_below(folder)):
        with contextlib.suppress(OSError):
            inner.rmdir()


def _pids_in(folder: Path) -> list[int]:
    return list(map(int, read(f"{folder}/cgroup.procs").split()))


def _folder_of(path: str) -> Path | None:
    # a cgroup namespace or a bind mount may show a part of the hierarchy: `root` is what is mounted there
    if ".." in path.split("/"):  # outside of the namespace
        return None
    for line in os.fsdecode(read("/proc/self/mountinfo")).splitlines():
        mount, _, file_system = line.partition(" - ")
        if file_system.startswith("cgroup2 "):
            root, point = mount.split()[3:5]
            if Path(path).is_relative_to(root):
                folder = Path(point) / Path(path).relative_to(root)
                if os.access(folder / "cgroup.procs", os.W_OK):
                    return folder
    return None


def _path_of(pid: int | str) -> str:
    # /proc/PID/cgroup has a line `0::PATH` for version 2
    for line in os.fsdecode(read(f"/proc/{pid}/cgroup")).splitlines():
        if line.startswith("0::"):
            return line[3:]
    return ""
