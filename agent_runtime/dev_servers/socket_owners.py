"""Finds the processes of the run that hold a listening socket, by its inode.

A process is the run's when it descends from the runtime, which as a child subreaper adopts whatever daemonises below
it; where that does not hold, when its environment carries the run's id; and when something that runs since before the
run (tmux, a supervisor, a loop that reads commands) has started it for the run: see `_on_request`. Sockets of another
user's processes (sudo) cannot be read by a runtime that is not root.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import field
from pathlib import Path

from agent_runtime.dev_servers.call_arguments import CallArguments
from agent_runtime.lazy import dataclass
from agent_runtime.system.process_tree import all_processes, below, lineage
from agent_runtime.system.processes import Process

MARKER = "AGENT_RUNTIME_RUN_ID"  # the variable of the tools' environment that holds the run's id
_RUNTIMES = ("agent-runtime", "agent_runtime")  # as programs and as modules are named


def age(process: Process) -> tuple[int, int]:
    """A sort key: oldest processes first."""
    return (process.start, process.pid)


@dataclass(frozen=True)
class Before:
    """What there was when the run began: none of it is the run's.

    Args:
        inodes: of the sockets that listened.
        ports: of those. A new socket there is a restart (by nodemon, by a supervisor) of what is not the run's.
        processes: those below the runtime.
        time: in clock ticks since boot.
    """

    inodes: frozenset[int] = frozenset()
    ports: frozenset[int] = frozenset()
    processes: frozenset[Process] = frozenset()
    time: int = 0


@dataclass(frozen=True)
class SocketOwners:
    """Finds the processes of the run that hold a socket.

    Args:
        root: the runtime's own pid; what it holds itself is never a server of the run.
        marker: the run's id, if the tools' environment carries it.
        workspace: where the run works; None: nothing was started on its request.
        arguments: those of the calls of the run.
    """

    root: int
    marker: str | None = None
    workspace: Path | None = None
    arguments: CallArguments = field(default_factory=CallArguments)

    def find(self, sockets: dict[int, int], before: Before) -> dict[int, list[Process]]:
        """The owners of these sockets, oldest first: a pre-forking server's leader. Takes milliseconds.

        Args:
            sockets: their ports, by inode.
            before: see `Before`.
        """
        table = all_processes()
        wanted = sockets.keys() - (table[self.root].sockets if self.root in table else set())
        descendants = below(table, self.root)
        found = _holders(wanted, descendants.difference(before.processes))
        others = [p for p in table.values() if p not in descendants and p.pid != self.root]
        if self.marker and (missing := wanted - found.keys()):
            entry = f"{MARKER}={self.marker}"
            found |= _holders(missing, (p for p in others if entry in p.environment))
        if self.workspace and (missing := wanted - found.keys()):
            young = [process for process in others if process.start >= before.time]
            for inode, owners in _holders(missing, young).items():
                if sockets[inode] not in before.ports and self._on_request(owners[0], before):
                    found[inode] = owners
        return found

    def _on_request(self, process: Process, before: Before) -> bool:
        """Return whether a process that does not descend from the run was started for it.

        It was when it began during the run, it is not of another run, and it works in the run's workspace or a tool's
        call had named its command line before it began.
        """
        if _is_of_another_run(process, before):
            return False
        own = {ancestor.pid for ancestor in lineage(Process.of(self.root) or process)}
        if any(_is_runtime(above) for above in lineage(process) if above.pid not in own):
            return False
        return self._works_here(process) or self.arguments.name(process)

    def _works_here(self, process: Process) -> bool:
        assert self.workspace
        here = str(self.workspace)
        return any(here == place or f"{here}/" in place for place in (process.cwd, *process.argv))


def _is_of_another_run(process: Process, before: Before) -> bool:
    """Return whether another run has left a process that carries its id.

    A program that an earlier run has left (tmux, a supervisor) gives that id to all that it starts for later ones.
    """
    entry = _run_id(process)
    if entry is None:
        return False
    return not any(above.start < before.time and _run_id(above) == entry for above in lineage(process))


def _run_id(process: Process) -> str | None:
    return next((entry for entry in process.environment if entry.startswith(f"{MARKER}=")), None)


def _is_runtime(process: Process) -> bool:
    # a program, a module, or a title with more words
    names = [word.partition(" ")[0].rpartition("/")[2] for word in process.argv[:5]]
    return any(name in _RUNTIMES for name in names)


def _holders(inodes: Collection[int], candidates: Iterable[Process]) -> dict[int, list[Process]]:
    found: dict[int, list[Process]] = {}
    for process in sorted(candidates, key=age):
        for inode in process.sockets.intersection(inodes):
            found.setdefault(inode, []).append(process)
    return found
