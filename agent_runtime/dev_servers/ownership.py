"""Finds the listening sockets that belong to the run. The owner of each is looked up once."""

from __future__ import annotations

import os
from dataclasses import field, replace
from pathlib import Path

from agent_runtime.dev_servers.call_arguments import CallArguments, ticks
from agent_runtime.dev_servers.socket_owners import Before, SocketOwners, age
from agent_runtime.lazy import dataclass
from agent_runtime.system.process_tree import all_processes, below
from agent_runtime.system.processes import Process
from agent_runtime.system.sockets import Listener, listeners

_TRIES = 5  # looks after which a socket that none of the run's processes holds is somebody else's


@dataclass(frozen=True)
class OpenPort:
    """A port that processes of the run listen on: its sockets, and the processes, oldest first."""

    sockets: list[Listener] = field(default_factory=list)
    owners: list[Process] = field(default_factory=list)

    @property
    def inodes(self) -> set[int]:
        """What the sockets are known by."""
        return {socket.inode for socket in self.sockets}

    @property
    def loopback(self) -> bool:
        """Whether it is reachable from this machine only."""
        return all(socket.loopback for socket in self.sockets)


class Ownership:
    """The run's share of the table of sockets.

    Args:
        root: pid of the runtime; this process when absent.
        marker: see `SocketOwners`.
        workspace: see `SocketOwners`.

    Attributes:
        arguments: those of the calls of the run.
    """

    def __init__(
        self, root: int | None = None, marker: str | None = None, workspace: Path | None = None
    ) -> None:
        self.arguments = CallArguments()
        self.blind = False  # the table of sockets cannot be read: no server is seen
        self.root = os.getpid() if root is None else root
        self._finder = SocketOwners(self.root, marker, workspace, arguments=self.arguments)
        self._before = Before()
        self._owners: dict[int, list[Process]] = {}
        self._tries: dict[int, int] = {}  # of sockets whose owner is not known

    def begin(self) -> None:
        """Remember the sockets and processes that exist before the run: they do not belong to it."""
        present = self.listeners()
        nothing_below = self.blind or not self._root_has_children()
        self._before = Before(
            inodes=frozenset(listener.inode for listener in present),
            ports=frozenset(listener.port for listener in present),
            processes=frozenset() if nothing_below else frozenset(below(all_processes(), self.root)),
            time=ticks(),
        )

    def _root_has_children(self) -> bool:
        tasks = Path(f"/proc/{self.root}/task")
        try:
            return any((task / "children").read_bytes() for task in tasks.iterdir())
        except OSError:  # a kernel without CONFIG_PROC_CHILDREN
            return True

    def listeners(self) -> list[Listener]:
        """All listening sockets of this machine."""
        try:
            return [] if self.blind else listeners()
        except OSError as error:
            from logging import getLogger

            self.blind = True
            getLogger(__name__).warning("dev servers are not watched: %s", error)
            return []

    async def ports(self) -> dict[int, OpenPort]:
        """The current ports of the run."""
        from anyio import to_thread

        current = self.listeners()
        present = {listener.inode: listener.port for listener in current}
        self._forget(present)
        if unknown := self._unknown(present):
            found = await to_thread.run_sync(self._finder.find, unknown, self._before, abandon_on_cancel=True)
            self._owners.update(found)  # a socket whose owner is not found keeps the one it had
            self._tries.update(
                {inode: self._tries.get(inode, 0) + 1 for inode in unknown.keys() - found.keys()}
            )
        ports: dict[int, OpenPort] = {}
        for listener in current:
            if owners := self._owners.get(listener.inode):
                port = ports.setdefault(listener.port, OpenPort())
                port.sockets.append(listener)
                port.owners.extend(owner for owner in owners if owner not in port.owners)
        for port in ports.values():
            port.owners.sort(key=age)
        return ports

    def of_others(self, port: int) -> list[Listener]:
        """The sockets on a port that are not the run's: there before it, or held by none of its processes."""
        return [
            listener
            for listener in self.listeners()
            if listener.port == port
            and (listener.inode in self._before.inodes or self._tries.get(listener.inode, 0) >= _TRIES)
        ]

    def _forget(self, present: dict[int, int]) -> None:
        """Forget sockets that no longer listen: the kernel may reuse their inodes."""
        self._before = replace(self._before, inodes=self._before.inodes & present.keys())
        self._owners = {inode: owners for inode, owners in self._owners.items() if inode in present}
        self._tries = {inode: tries for inode, tries in self._tries.items() if inode in present}

    def _unknown(self, present: dict[int, int]) -> dict[int, int]:
        """The sockets whose owner has to be looked for: new ones, and ours whose leader has gone."""
        new = present.keys() - self._before.inodes - self._owners.keys()
        orphans = {inode for inode, owners in self._owners.items() if not owners[0].lives}
        return {inode: present[inode] for inode in new | orphans if self._tries.get(inode, 0) < _TRIES}
