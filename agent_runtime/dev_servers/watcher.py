"""Development servers: TCP ports that start listening during a run, by a process that its tools started.

The kernel sends no notification of that, so the table of listening sockets is read every `INTERVAL`, which takes a
tenth of a millisecond. Finding the owner of a socket is expensive and done once for each new one. What is promised:

- Watching changes nothing: no connection is made to a server. The one exception is `wait_for` with `check`, which
  sends one GET request to the port that was asked for.
- One event for a port, whatever number of sockets and processes share it. `up` within a second, once the port
  has been open for `RIPE`: a test suite's short-lived servers are not reported.
- `down` when the port has been closed for `GRACE`. A server that restarts faster (Vite's own restart, a
  reloader's new process) is the same server and makes no event, also under a new pid; one that takes longer,
  is another program, or is bound so that the outside can or cannot reach it any more, makes `down` and `up`.
- `http` in the event is absent as long as nothing says whether the server speaks HTTP; see `server.Server.http`.
- Only intervals of the monotonic clock are used: a frozen or adjusted clock makes no event.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent_runtime.dev_servers.advice import Changes, absence, describe
from agent_runtime.dev_servers.announcements import Announcements
from agent_runtime.dev_servers.call_arguments import CallArguments
from agent_runtime.dev_servers.ownership import OpenPort, Ownership
from agent_runtime.dev_servers.server import RunningServer, Server, Standing, best
from agent_runtime.dev_servers.starting import StartingProcesses
from agent_runtime.dev_servers.urls import Template
from agent_runtime.errors import ToolError
from agent_runtime.protocol.events import DevUrlEvent
from agent_runtime.system.processes import Process

if TYPE_CHECKING:
    import anyio

    from agent_runtime.shell.call_processes import Background

# Seconds. Together they keep both promises: seen and ripe, or missed and given up, in less than one.
INTERVAL = 0.15
RIPE = 0.12
GRACE = 0.4
START_TIME = 0.6  # for a process that a call left running; within it a Python or node server listens
_CHECK_SECONDS = 1.0  # that a server has to answer, at least


class DevServerWatcher:
    """Reports which servers a run has started, as they come and go.

    Args:
        template: public address of a port (see `urls.check_template`); None for `http://localhost:{port}`.
        sandbox_id: what `{sandboxId}` stands for.
        root_pid: the runtime; this process when absent.
        marker: the run's id, where the tools' environment carries it in AGENT_RUNTIME_RUN_ID.
        workspace: where the run works: what an older process starts there during the run is the run's too.
    """

    def __init__(
        self,
        *,
        template: str | None,
        sandbox_id: str | None,
        root_pid: int | None = None,
        marker: str | None = None,
        workspace: Path | None = None,
    ) -> None:
        self._template = Template(template, sandbox_id)
        self._background: Callable[[], Sequence[Background]] = lambda: ()
        self._printed: Callable[[], Sequence[str]] = lambda: ()
        self._starting = StartingProcesses()
        self._arguments = CallArguments()
        root = os.getpid() if root_pid is None else root_pid
        self._ownership = Ownership(root, marker, workspace, self._arguments)
        self._announcements = Announcements()
        self._new: dict[int, Server] = {}  # seen and not yet reported, by port
        self._up: dict[int, Server] = {}  # reported, in order of coming up
        self._stopped: dict[int, DevUrlEvent] = {}
        self._pending: deque[DevUrlEvent] = deque()
        self._changes = Changes()

    @cached_property
    def _lock(self) -> anyio.Lock:
        from anyio import Lock

        return Lock()

    def begin(self) -> None:
        """Remember the sockets that listen already. To be called before any tool runs."""
        self._ownership.begin()

    def attach(
        self,
        background: Callable[[], Sequence[Background]],
        printed: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:
        """Connect it to the background processes and the output of the shell and sessions.

        Args:
            background: what calls left running. A server that writes into a pipe has its log there, and `settle`
                waits a little for what just started.
            printed: what running calls and sessions have printed: until they end there is no other log.
        """
        self._background, self._printed = background, printed

    async def watch(self, emit: Callable[[DevUrlEvent], Awaitable[None]]) -> None:
        """Emit events as servers come and go, until cancelled."""
        from anyio import sleep

        while not self._ownership.blind:
            await self._look()
            while self._pending:
                await emit(self._pending.popleft())
            await sleep(INTERVAL)

    async def settle(self, start_time: float = START_TIME) -> list[DevUrlEvent]:
        """Scan after a tool call, and return the events that `watch` has not emitted.

        Waits for a server that is just coming up or going, and `start_time` seconds at most for a process that the
        call has left running to become one: so the result of the call that starts a server can give its address, and
        none says that a server is listening which the end of the call has ended.
        """
        await self._look()
        await self._wait(start_time, lambda: bool(self._new) or self._is_going or self._expected(start_time))
        self._attribute(self._up.values())
        self._read_announcements(self._up.values())
        return self._drain()

    async def finish(self) -> list[DevUrlEvent]:
        """The last look of a run, before `complete`: what is just coming up is waited for, what is gone now is down."""
        seconds = 2 * START_TIME
        await self._look(is_last=True)
        await self._wait(seconds, lambda: bool(self._new) or self._expected(seconds))
        await self._look(is_last=True)
        self._attribute(self._up.values())
        return self._drain()

    async def _wait(self, seconds: float, reason: Callable[[], bool]) -> None:
        from anyio import sleep

        deadline = time.monotonic() + seconds
        while reason() and time.monotonic() < deadline:
            await sleep(RIPE / 2)
            await self._look()

    @property
    def _is_going(self) -> bool:
        return any(server.gone is not None for server in self._up.values())

    def _expected(self, start_time: float) -> bool:
        """Return whether a process was left running so recently that it may still start to listen."""
        self._starting.update(entry.pid for entry in self._background())
        with_server = set[Process]().union(*(server.origin.above for server in self._up.values()))
        return not self._starting.younger_than(start_time) <= with_server

    def _drain(self) -> list[DevUrlEvent]:
        events = list(self._pending)
        self._pending.clear()
        return events

    def _listening(self) -> list[Server]:
        return [server for server in self._up.values() if server.gone is None]

    def up(self) -> list[DevUrlEvent]:
        """The servers that are up, in order of coming up."""
        return [server.event("up", self._template) for server in self._listening()]

    def latest(self) -> DevUrlEvent | None:
        """The address to open; see `server.best`."""
        server = best(self._listening())
        return server.event("up", self._template) if server else None

    def left(self) -> list[RunningServer]:
        """The processes that serve, for `complete.left`: each with the port that a person would open."""
        ports: dict[int | None, list[Server]] = {}
        for server in self._listening():
            ports.setdefault(server.pid, []).append(server)
        listed = [best(servers) or servers[0] for servers in ports.values()]
        return [left for server in listed if (left := server.running())]

    def advice(self) -> str:
        """Return a text for the model about what has changed since the last report; "" for nothing."""
        return self._changes.take(self._up.values(), self._template)

    def hint(self, text: str) -> None:
        """Learn URLs and ports from a tool's output. A server whose output is a file is judged by that alone."""
        self._announcements.hear(text)

    def note_call(self, text: str) -> None:
        """Learn from the arguments of a tool's call, before it runs, which ports and commands the run means."""
        self._arguments.note(text)

    async def wait_for(
        self,
        port: int | None,
        timeout: float,  # noqa: ASYNC109
        *,
        check: bool = False,
    ) -> Server | None:
        """Wait for a server on a port, and return it; None when there is none in time.

        Args:
            port: of the run or of what was there before it. None: that of `latest`; where that is a helper, another
                one is waited for a moment.
            timeout: seconds.
            check: send one GET request, where it is not known yet whether the server speaks HTTP, and wait for the
                answer in what remains of the time, and a second at least.
        """
        from anyio import sleep

        began = time.monotonic()
        deadline = began + timeout
        while True:
            await self._look()
            found = best(self._listening()) if port is None else self._on(port)
            remaining = deadline - time.monotonic()
            is_early = time.monotonic() - began < 2 * START_TIME
            may_come = port is None and found and found.standing < Standing.FIXED and is_early
            if remaining <= 0 or (found and not may_come):
                if found and check and found.http is None:
                    await found.check(max(remaining, _CHECK_SECONDS))
                return found
            await sleep(min(INTERVAL, remaining))

    async def locate(self, port: int | None, timeout: float, *, check: bool = False) -> str:  # noqa: ASYNC109
        """Describe the server that `wait_for` finds. Raises ToolError, with the reason, when there is none."""
        server = await self.wait_for(port, timeout, check=check)
        if server is None:
            others = sorted({listener.port for listener in self._ownership.listeners()} - self._up.keys())
            raise ToolError(absence(port, self._listening(), self._stopped.get(port or 0), others))
        self._changes.known(server.port)
        own = server.port in self._up
        note = "" if own else "\nThis run did not start that server: it belongs to the sandbox."
        return describe(server, self._template) + note

    def _on(self, port: int) -> Server | None:
        server = self._up.get(port)
        if server and server.gone is None:
            return server
        sockets = self._ownership.of_others(port)
        return Server(port, 0.0, OpenPort(sockets)) if sockets else None

    async def _look(self, *, is_last: bool = False) -> None:
        grace = 0.0 if is_last else GRACE
        async with self._lock:
            now = time.monotonic()
            ports = await self._ownership.ports()
            for number, port in ports.items():
                server = self._up.get(number)
                if server and server.is_replaced(port):
                    self._report(server, "down")
                    server = None
                server = server or self._new.setdefault(number, Server(number, now, port))
                server.refresh(port, self._ownership.root)
            for number in self._new.keys() - ports.keys():
                del self._new[number]
            for server in [server for number, server in self._up.items() if number not in ports]:
                server.gone = now if server.gone is None else server.gone
                if now - server.gone >= grace:
                    self._report(server, "down")
            ripe = [server for server in self._new.values() if now - server.seen >= RIPE]
            ripe.sort(key=lambda server: (server.seen, *server.order))
            self._attribute(ripe)
            self._read_announcements([*self._listening(), *ripe])
            for server in ripe:
                self._report(server, "up")

    def _attribute(self, servers: Collection[Server]) -> None:
        if missing := [server for server in servers if server.call_id is None or server.log is None]:
            background = self._background()
            for server in missing:
                server.attribute(background)

    def _read_announcements(self, servers: Iterable[Server]) -> None:
        unknown = [server for server in servers if not (server.announcement and server.announcement.web)]
        if any(server.log is None for server in unknown):
            self._announcements.listen(self._printed())
        for server in unknown:
            server.mentioned = server.port in self._arguments.ports
            found = self._announcements.of(server.port, server.log, server.seen)
            server.announcement = found or server.announcement

    def _report(self, server: Server, status: Literal["up", "down"]) -> None:
        event = server.event(status, self._template)
        if status == "up":
            self._up[server.port] = self._new.pop(server.port)
            self._stopped.pop(server.port, None)
            self._changes.came_up(event)
        else:
            del self._up[server.port]
            self._announcements.forget(server.port)
            self._stopped[server.port] = event
            self._changes.ended(event, is_unnamed=server.is_unnamed)
        self._pending.append(event)
