"""Who holds a listening socket: from its inode to the processes that have it open, by /proc/PID/fd.

Only processes that the run's tools started are asked: descendants of the runtime, which as a child subreaper
adopts whatever daemonises below it, and, where that does not hold, processes whose environment carries the
run's id. A server of another user (sudo) is not seen by a runtime that is not root.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from agent_runtime.system.processes import Process

MARKER = "AGENT_RUNTIME_RUN_ID"  # the variable of the tools' environment that holds the run's id
_COMMAND_LIMIT = 1000  # characters of a command line that are kept


def age(process: Process) -> tuple[int, int]:
    """Sorts processes, oldest first."""
    return (process.start, process.pid)


def lineage(process: Process) -> set[Process]:
    """A process and all above it."""
    found: set[Process] = set()
    above: Process | None = process
    while above and above not in found:
        found.add(above)
        above = Process.of(above.ppid)
    return found


def processes() -> dict[int, Process]:
    """Every process that /proc shows, by pid."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208 - half the cost
    return {process.pid: process for pid in pids if (process := Process.of(pid))}


def descendants(table: dict[int, Process], root: int) -> set[Process]:
    """All processes below `root`, itself not included."""
    children: dict[int, list[Process]] = {}
    for process in table.values():
        children.setdefault(process.ppid, []).append(process)
    found: set[Process] = set()
    todo = children.get(root, [])
    while todo:
        process = todo.pop()
        if process not in found:  # the table was read bit by bit and need not be a tree
            found.add(process)
            todo.extend(children.get(process.pid, ()))
    return found


def find_owners(
    inodes: Collection[int], root: int, *, marker: str | None = None, earlier: Collection[Process] = ()
) -> dict[int, list[Process]]:
    """The processes of the run that hold these sockets, oldest first: a pre-forking server's leader.

    Args:
        inodes: of listening sockets.
        root: the runtime's own pid; what it holds itself is never a server of the run.
        marker: the run's id, if the tools' environment carries it.
        earlier: processes that were below `root` before the run.
    """
    wanted = set(inodes) - _sockets(root)
    table = processes()
    family = descendants(table, root)
    found = _holders(wanted, family.difference(earlier))
    if marker and (missing := wanted - found.keys()):
        mark = f"{MARKER}={marker}".encode()
        strangers = (p for p in table.values() if p not in family and p.pid != root and _carries(p.pid, mark))
        found |= _holders(missing, strangers)
    return found


def _holders(inodes: set[int], candidates: Iterable[Process]) -> dict[int, list[Process]]:
    found: dict[int, list[Process]] = {}
    for process in sorted(candidates, key=age):
        for inode in _sockets(process.pid) & inodes:
            found.setdefault(inode, []).append(process)
    return found


def _sockets(pid: int) -> set[int]:
    """The inodes of the sockets a process has open; none when it has gone or may not be looked at."""
    folder = f"/proc/{pid}/fd"
    found = set()
    try:
        for fd in os.listdir(folder):  # noqa: PTH208 - half the cost
            target = _link(f"{folder}/{fd}")
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    except OSError:
        pass
    return found


def _carries(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _link(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 - half the cost
    except OSError:
        return ""


def command_line(pid: int) -> str | None:
    """What a process was started with, quoted for a shell; None when it has gone."""
    from shlex import join

    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ").split(b"\0")
    except OSError:
        return None
    text = [word.decode(errors="replace") for word in words if word]
    # one word is a title that the process gave itself, or a program without arguments
    return (text[0] if len(text) == 1 else join(text))[:_COMMAND_LIMIT] or None


def output_file(pid: int) -> Path | None:
    """The file that a process's standard output or error goes to; None for pipes, terminals and /dev/null."""
    for fd in (1, 2):
        path = Path(_link(f"/proc/{pid}/fd/{fd}"))
        if path.is_absolute() and path.is_file():
            return path
    return None
