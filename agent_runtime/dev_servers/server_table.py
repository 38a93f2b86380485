"""The servers of a run, as the table of sockets shows them: those that are new, up, or have stopped."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from agent_runtime.dev_servers.advice import Changes
from agent_runtime.dev_servers.announcements import Announcements
from agent_runtime.dev_servers.ownership import OpenPort, Ownership
from agent_runtime.dev_servers.server import Server
from agent_runtime.dev_servers.urls import Template
from agent_runtime.protocol.events import DevUrlEvent

if TYPE_CHECKING:
    import anyio

    from agent_runtime.shell.call_processes import Background

# Seconds. With `watcher.INTERVAL`, a server is reported as up or as down in less than one.
RIPE = 0.12
GRACE = 0.4


class ServerTable:
    """Compares the sockets with what was known, and makes events of the differences.

    Args:
        ownership: knows which sockets are the run's.
        template: for the URLs of events.
        background: returns what calls left running. A server that writes into a pipe has its log there.
        printed: returns what running calls and sessions have printed: until they end there is no other log.

    Attributes:
        announcements: what servers have printed about themselves.
        changes: what has not been reported to the model yet.
        new: servers that are not reported yet, by port.
        up: those that are reported, in order of coming up.
        stopped: the last event of those that have gone.
    """

    def __init__(
        self,
        ownership: Ownership,
        template: Template,
        background: Callable[[], Sequence[Background]],
        printed: Callable[[], Sequence[str]],
    ) -> None:
        self._ownership = ownership
        self._template = template
        self.background, self._printed = background, printed
        self.announcements = Announcements()
        self.changes = Changes()
        self.new: dict[int, Server] = {}
        self.up: dict[int, Server] = {}
        self.stopped: dict[int, DevUrlEvent] = {}
        self.pending: deque[DevUrlEvent] = deque()

    def change_template(self, template: Template) -> None:
        """Use another template, and report the servers whose URL changes with it again."""
        before, self._template = self._template, template
        both = [(server.event("up", before), server.event("up", template)) for server in self.listening()]
        self.pending.extend(now for then, now in both if then.url != now.url)

    @cached_property
    def _lock(self) -> anyio.Lock:
        from anyio import Lock

        return Lock(fast_acquire=True)

    @property
    def is_going(self) -> bool:
        """Whether a server has just closed its port."""
        return any(server.gone is not None for server in self.up.values())

    def listening(self) -> list[Server]:
        """Return the servers that are up, in order of coming up."""
        return [server for server in self.up.values() if server.gone is None]

    def on(self, port: int) -> Server | None:
        """Return the server on a port: of the run, or of what was there before it."""
        server = self.up.get(port)
        if server and server.gone is None:
            return server
        sockets = self._ownership.of_others(port)
        return Server(port, 0.0, OpenPort(sockets)) if sockets else None

    def take_events(self) -> list[DevUrlEvent]:
        """Return the events that were not returned yet, with all that is known of the servers that are up."""
        self._attribute(self.up.values())
        self._read_announcements(self.up.values())
        events = list(self.pending)
        self.pending.clear()
        return events

    async def look(self, *, is_last: bool = False, left_count: bool = False) -> None:
        """Read the table of sockets.

        Args:
            is_last: what is gone now is down at once.
            left_count: a call has ended, so that what listens now is left running, and up at once.
        """
        grace = 0.0 if is_last else GRACE
        async with self._lock:
            now = time.monotonic()
            ports = await self._ownership.ports()
            for number, port in ports.items():
                server = self.up.get(number)
                if server and server.is_replaced(port):
                    self._report(server, "down")
                    server = None
                server = server or self.new.setdefault(number, Server(number, now, port))
                server.refresh(port, self._ownership.root)
            for number in self.new.keys() - ports.keys():
                del self.new[number]
            for server in [server for number, server in self.up.items() if number not in ports]:
                server.gone = now if server.gone is None else server.gone
                if now - server.gone >= grace:
                    self._report(server, "down")
            ripe = [server for server in self.new.values() if left_count or now - server.seen >= RIPE]
            ripe.sort(key=lambda server: (server.seen, *server.order))
            self._attribute(ripe)
            self._read_announcements([*self.listening(), *ripe])
            for server in ripe:
                self._report(server, "up")

    def _attribute(self, servers: Collection[Server]) -> None:
        if missing := [server for server in servers if server.call_id is None or server.log is None]:
            background = self.background()
            for server in missing:
                server.attribute(background)

    def _read_announcements(self, servers: Iterable[Server]) -> None:
        unknown = [server for server in servers if not (server.announcement and server.announcement.web)]
        if any(server.log is None for server in unknown):
            self.announcements.listen(self._printed())
        for server in unknown:
            server.mentioned = server.port in self._ownership.arguments.ports
            found = self.announcements.of(server.port, server.log, server.seen)
            server.announcement = found or server.announcement

    def _report(self, server: Server, status: Literal["up", "down"]) -> None:
        event = server.event(status, self._template)
        if status == "up":
            self.up[server.port] = self.new.pop(server.port)
            self.stopped.pop(server.port, None)
            self.changes.came_up(event)
        else:
            del self.up[server.port]
            self.announcements.forget(server.port)
            self.stopped[server.port] = event
            self.changes.ended(event, is_unnamed=server.is_unnamed)
        self.pending.append(event)
