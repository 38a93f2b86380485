"""Which processes of the run hold a listening socket: from its inode to the processes that have it open.

Only processes that the run's tools started are looked at: descendants of the runtime, which as a child subreaper
adopts whatever daemonises below it, and, where that does not hold, processes whose environment carries the
run's id. Sockets of another user's processes (sudo) cannot be read by a runtime that is not root.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from agent_runtime.system.processes import Process, all_processes, below

MARKER = "AGENT_RUNTIME_RUN_ID"  # the variable of the tools' environment that holds the run's id


def age(process: Process) -> tuple[int, int]:
    """Sorts processes, oldest first."""
    return (process.start, process.pid)


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
    table = all_processes()
    wanted = set(inodes) - (table[root].sockets if root in table else set())
    descendants = below(table, root)
    found = _holders(wanted, descendants.difference(earlier))
    if marker and (missing := wanted - found.keys()):
        variable = f"{MARKER}={marker}"
        escaped = (
            p for p in table.values() if p not in descendants and p.pid != root and p.carries(variable)
        )
        found |= _holders(missing, escaped)
    return found


def _holders(inodes: set[int], candidates: Iterable[Process]) -> dict[int, list[Process]]:
    found: dict[int, list[Process]] = {}
    for process in sorted(candidates, key=age):
        for inode in process.sockets & inodes:
            found.setdefault(inode, []).append(process)
    return found
