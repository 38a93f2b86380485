"""Development servers: TCP ports that start listening during a run, by a process that its tools started.

The kernel reports no such thing, so the listening sockets are looked at every `INTERVAL`, at a tenth of a
millisecond. Who owns a socket is expensive to find out and is asked once for each new one. What is promised:

- One event for a port, whatever number of sockets and processes share it. `up` within a second, once the port
  has been open for `RIPE`: a test suite's short-lived servers are neither reported nor disturbed by a probe.
- `down` when the port has been closed for `GRACE`. A server that restarts faster (Vite's own restart, a
  reloader's new process) is the same server and makes no event, also under a new pid; one that takes longer,
  is another program, or is bound so that the outside can or cannot reach it any more, makes `down` and `up`.
- `http` in the event is absent when the server has not answered yet; `up()` knows as soon as it has.
- Only intervals of the monotonic clock are used: a frozen or adjusted clock makes no event.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from agent_runtime.dev_servers.ownership import OpenPort, Ownership
from agent_runtime.dev_servers.server import Server
from agent_runtime.dev_servers.urls import Template, announced
from agent_runtime.protocol.events import DevUrlEvent
from agent_runtime.system.processes import Process, lineage

if TYPE_CHECKING:
    import anyio

    from agent_runtime.shell.call_processes import Background

# Seconds. Together they keep both promises: seen, ripe and probed, or missed and given up, in less than one.
INTERVAL = 0.15
RIPE = 0.12
GRACE = 0.4
PATIENCE = 0.6  # for a process that a call left running; within it a Python or node server listens
_HINT_AGE = 10.0  # a URL in a tool's output tells of a server that came up so long before or after it


class DevServerWatcher:
    """Tells which servers a run has started, as they come and go.

    Args:
        template: public address of a port (see `urls.check_template`); None for `http://localhost:{port}`.
        sandbox_id: what `{sandboxId}` stands for.
        root_pid: the runtime; this process when absent.
        marker: the run's id, where the tools' environment carries it in AGENT_RUNTIME_RUN_ID.
    """

    def __init__(
        self,
        *,
        template: str | None,
        sandbox_id: str | None,
        root_pid: int | None = None,
        marker: str | None = None,
    ) -> None:
        self._template = Template(template, sandbox_id)
        self._background: Callable[[], Sequence[Background]] = lambda: ()
        self._printed: Callable[[], Sequence[str]] = lambda: ()
        self._left: dict[Process, float] = {}  # what calls left running, and when it was first noticed
        self._ownership = Ownership(os.getpid() if root_pid is None else root_pid, marker)
        self._new: dict[int, Server] = {}  # seen and not yet reported, by port
        self._up: dict[int, Server] = {}  # reported, in order of coming up
        self._stopped: dict[int, DevUrlEvent] = {}
        self._pending: deque[DevUrlEvent] = deque()
        self._untold: dict[int, DevUrlEvent] = {}  # what the model was not told yet
        self._hints: dict[int, tuple[float, str]] = {}

    @cached_property
    def _lock(self) -> anyio.Lock:
        from anyio import Lock

        return Lock()

    def begin(self) -> None:
        """Note what is there already. Before any tool runs."""
        self._ownership.begin()

    def attach(
        self,
        background: Callable[[], Sequence[Background]],
        printed: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:
        """Lend it the hands' knowledge of what runs.

        Args:
            background: what calls left running. A server that writes into a pipe has its log there, and `settle`
                waits a little for what just started.
            printed: what running calls and sessions have printed: until they end there is no other log.
        """
        self._background, self._printed = background, printed

    async def watch(self, emit: Callable[[DevUrlEvent], Awaitable[None]]) -> None:
        """Emit events as servers come and go, until cancelled."""
        from anyio import create_task_group, sleep

        async with create_task_group() as asking:
            while not self._ownership.blind:
                await self._look()
                for server in self._silent():
                    asking.start_soon(server.ask)
                while self._pending:
                    await emit(self._pending.popleft())
                await sleep(INTERVAL)

    async def settle(self, patience: float = PATIENCE) -> list[DevUrlEvent]:
        """Look now, after a tool call: the events that `watch` has not emitted.

        Waits for a server that is just coming up, and `patience` seconds at most for a process that the call
        has left running to become one: so the result of the call that starts a server can tell its address.
        """
        from anyio import sleep

        deadline = time.monotonic() + patience
        await self._look()
        while (self._new or self._expected(patience)) and time.monotonic() < deadline:
            await sleep(RIPE / 2)
            await self._look()
        self._find_logs(self._up.values())
        return self._drain()

    async def finish(self) -> list[DevUrlEvent]:
        """The last look of a run, before `complete`: as `settle`, and what is gone now is down."""
        events = await self.settle(2 * PATIENCE)
        await self._look(grace=0)
        return events + self._drain()

    def _expected(self, patience: float) -> bool:
        """Is there a process, left running so short a time ago, that may yet listen?"""
        now = time.monotonic()
        left = filter(None, (Process.of(entry.pid) for entry in self._background()))
        self._left = {process: self._left.get(process, now) for process in left}
        young = {process for process, noticed in self._left.items() if now - noticed < patience}
        owners = {owner for server in self._up.values() for owner in server.now.owners} if young else ()
        return bool(young.difference(*(lineage(owner) for owner in owners)))

    def _drain(self) -> list[DevUrlEvent]:
        events = list(self._pending)
        self._pending.clear()
        return events

    def up(self) -> list[DevUrlEvent]:
        """The servers that are up, in order of coming up."""
        return [server.event("up", self._template) for server in self._up.values() if server.gone is None]

    def latest(self) -> DevUrlEvent | None:
        """Of the servers that are up, the last to come up that speaks HTTP."""
        return next((event for event in reversed(self.up()) if event.http), None)

    def pids(self) -> list[int]:
        """Every process that holds a socket of a server that is up, workers included."""
        inodes = {inode for server in self._up.values() for inode in server.now.inodes}
        found = self._ownership.find(inodes) if inodes else {}
        return sorted({process.pid for owners in found.values() for process in owners})

    def advice(self) -> str:
        """What the model should know of servers that came or went since it was last told."""
        from agent_runtime.dev_servers.advice import advise

        current = {event.port: event for event in self.up()}  # more may be known than when it came up
        told = [advise(current.get(event.port, event)) for event in self._untold.values()]
        self._untold.clear()
        return "\n".join(told)

    def hint(self, text: str) -> None:
        """Learn base paths from a tool's output. A server whose output is a file is judged by that alone."""
        now = time.monotonic()
        for port, path in announced(text) if "://" in text else ():
            if port not in self._hints or now - self._hints[port][0] >= _HINT_AGE:
                self._hints[port] = (now, path)

    async def wait_for(self, port: int | None, timeout: float) -> DevUrlEvent | None:  # noqa: ASYNC109
        """The server on a port as soon as there is one, within `timeout` seconds; None when there is none.

        A server that was there before the run is answered too. No port: the latest HTTP server of the run.
        """
        from anyio import current_time, sleep

        deadline = current_time() + timeout
        while True:
            await self._look()
            if port is None:
                found = self.latest()
            else:
                found = next((e for e in self.up() if e.port == port), None) or await self._foreign(port)
            if found or (left := deadline - current_time()) <= 0:
                return found
            await sleep(min(INTERVAL, left))

    def describe(self, event: DevUrlEvent) -> str:
        """What the model should know of a server that `wait_for` found."""
        from agent_runtime.dev_servers.advice import describe

        own = event.port in self._up
        self._untold.pop(event.port, None)
        return describe(event) + (
            "" if own else "\nThis run did not start that server: it belongs to the sandbox."
        )

    def explain(self, port: int | None) -> str:
        """Why there is no URL: what is known of a port that nothing listens on."""
        from agent_runtime.dev_servers.advice import absence

        strangers = sorted({s.port for s in self._ownership.listeners()} - self._up.keys())
        return absence(port, self.up(), self._stopped.get(port) if port else None, strangers)

    async def _foreign(self, port: int) -> DevUrlEvent | None:
        if not (sockets := self._ownership.foreign(port)):
            return None
        server = Server(port, 0.0, OpenPort(sockets))
        await server.ask()
        return server.event("up", self._template)

    async def _look(self, grace: float = GRACE) -> None:
        async with self._lock:
            now = time.monotonic()
            ports = await self._ownership.ports()
            for number, port in ports.items():
                server = self._up.get(number)
                if server and server.is_replaced(port):
                    self._report(server, "down")
                    server = None
                server = server or self._new.setdefault(number, Server(number, now, port))
                server.refresh(port)
                self._take_hint(server)
            for number in self._new.keys() - ports.keys():
                del self._new[number]
            for server in [server for number, server in self._up.items() if number not in ports]:
                server.gone = now if server.gone is None else server.gone
                if now - server.gone >= grace:
                    self._report(server, "down")
            ripe = [server for server in self._new.values() if now - server.seen >= RIPE]
            self._find_logs(ripe)
            self._listen_to(ripe)
            await _ask_all(ripe)
            for server in ripe:
                self._report(server, "up")

    def _silent(self) -> list[Server]:
        """Those that are to be asked again."""
        now = time.monotonic()
        return [s for s in self._up.values() if s.gone is None and s.http is None and now >= s.ask_at]

    def _find_logs(self, servers: Iterable[Server]) -> None:
        if missing := [server for server in servers if server.log is None]:
            logs = {entry.pid: entry.log_file for entry in self._background()}
            for server in missing:
                server.find_log(logs)

    def _listen_to(self, servers: Iterable[Server]) -> None:
        if unheard := [server for server in servers if server.log is None and server.path is None]:
            for text in self._printed():
                self.hint(text)
            for server in unheard:
                self._take_hint(server)

    def _take_hint(self, server: Server) -> None:
        when, path = self._hints.get(server.port, (0.0, ""))
        if path and server.path is None and server.log is None and abs(when - server.seen) < _HINT_AGE:
            server.path = path

    def _report(self, server: Server, status: Literal["up", "down"]) -> None:
        event = server.event(status, self._template)
        if status == "up":
            self._up[server.port] = self._new.pop(server.port)
            self._stopped.pop(server.port, None)
        else:
            del self._up[server.port]
            self._hints.pop(server.port, None)
            self._stopped[server.port] = event
        self._pending.append(event)
        self._untold[server.port] = event


async def _ask_all(servers: Iterable[Server]) -> None:
    from anyio import create_task_group

    async with create_task_group() as group:
        for server in servers:
            group.start_soon(server.ask)
