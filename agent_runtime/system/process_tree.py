"""Finding the processes that descend from a process, and its ancestors."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from agent_runtime.system.kernel_files import read
from agent_runtime.system.processes import Process


def children(pid: int) -> list[Process]:
    """The children of a process, those of all its threads."""
    try:
        with os.scandir(f"/proc/{pid}/task") as tasks:
            found = b"".join(read(f"/proc/{pid}/task/{task.name}/children") for task in tasks)
    except OSError:
        return []
    if found or _has_lists_of_children():
        return _existing(map(int, found.split()))
    numbers = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    return [process for process in _existing(numbers) if process.ppid == pid]


def descendants(pid: int, *, skip: Callable[[Process], bool] = lambda _: False) -> list[Process]:
    """All living processes below `pid`, parents first. A process that `skip` names is left out with all below it."""
    found: list[Process] = []
    waiting = [pid]
    while waiting:
        for child in children(waiting.pop()):
            if not skip(child):
                found.append(child)
                waiting.append(child.pid)
    return [process for process in found if not process.gone]


def all_processes() -> dict[int, Process]:
    """The whole process table, by pid."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208 - half the cost
    return {process.pid: process for pid in pids if (process := Process.of(pid))}


def below(table: Mapping[int, Process], root: int) -> set[Process]:
    """All processes of a table that descend from `root`, itself not included."""
    by_parent: dict[int, list[Process]] = {}
    for process in table.values():
        by_parent.setdefault(process.ppid, []).append(process)
    found: set[Process] = set()
    waiting = [root]
    while waiting:
        # the table is not read at one moment and need not be a tree
        children = [child for child in by_parent.get(waiting.pop(), ()) if child not in found]
        found.update(children)
        waiting += [child.pid for child in children]
    return found


def lineage(process: Process) -> Iterator[Process]:
    """A process and its ancestors, from the process itself upwards."""
    found: set[Process] = set()
    above: Process | None = process
    while above and above not in found:
        yield above
        found.add(above)
        above = _parent(above)


def _parent(process: Process) -> Process | None:
    """The parent; that of a process whose parent has ended in the meantime is its new one."""
    while parent := process.ppid:
        if (found := Process.of(parent)) and found.start <= process.start:
            return found
        again = Process.of(process.pid)
        if not again or again.start != process.start or again.ppid == parent:
            return None
        process = again
    return None


def kill_descendants() -> None:
    """Send SIGKILL to all descendants of this process, even detached ones. Does not wait for their end."""
    for process in descendants(os.getpid()):
        process.send(signal.SIGKILL)


@cache
def _has_lists_of_children() -> bool:
    """Whether the kernel was built with CONFIG_PROC_CHILDREN."""
    return Path("/proc/thread-self/children").exists()


def _existing(pids: Iterable[int]) -> list[Process]:
    return [process for process in map(Process.of, pids) if process is not None]
