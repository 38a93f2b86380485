"""Development servers: TCP ports that start listening during a run, by a process that its tools started.

The kernel sends no notification of that, so the table of listening sockets is read every `INTERVAL`, which takes a
tenth of a millisecond. Finding the owner of a socket is expensive and done once for each new one. What is promised:

- Watching changes nothing: no connection is made to a server. The one exception is `wait_for` with `check`, which
  sends one GET request to the port that was asked for.
- One event for a port, whatever number of sockets and processes share it. `up` within a second, once the port
  has been open for `server_table.RIPE`: a test suite's short-lived servers are not reported. What listens when a call
  has ended counts at once.
- `down` when the port has been closed for `server_table.GRACE`. A server that restarts faster (Vite's own restart, a
  reloader's new process) is the same server and makes no event, also under a new pid; one that takes longer,
  is another program, or is bound so that the outside can or cannot reach it any more, makes `down` and `up`.
- `http` in the event is absent as long as nothing says whether the server speaks HTTP; see `server.Server.http`.
- Only intervals of the monotonic clock are used: a frozen or adjusted clock makes no event.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agent_runtime.dev_servers.advice import absence, describe
from agent_runtime.dev_servers.ownership import Ownership
from agent_runtime.dev_servers.server import RunningServer, Server, Standing, best
from agent_runtime.dev_servers.server_table import RIPE, ServerTable
from agent_runtime.dev_servers.urls import Template
from agent_runtime.errors import ToolError
from agent_runtime.protocol.events import DevUrlEvent
from agent_runtime.system.processes import Process

if TYPE_CHECKING:
    from agent_runtime.shell.call_processes import Background

# seconds
INTERVAL = 0.15
START_TIME = 0.6  # for a process that a call left running; within it a Python or node server listens
_CHECK_SECONDS = 1.0  # that a server has to answer, at least


class DevServerWatcher:
    """Reports which servers a run has started, as they come and go.

    Args:
        ownership: knows which sockets are the run's; begun before any tool ran.
        template: the public address of a port.
        background: returns what calls left running: `finish` waits a little for what just started.
        printed: returns what running calls and sessions have printed.
    """

    def __init__(
        self,
        ownership: Ownership,
        template: Template,
        *,
        background: Callable[[], Sequence[Background]] = lambda: (),
        printed: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:
        self._ownership = ownership
        self._template = template
        self._background = background
        self._servers = ServerTable(ownership, template, background, printed)

    async def watch(self, emit: Callable[[DevUrlEvent], Awaitable[None]]) -> None:
        """Emit events as servers come and go, until cancelled."""
        from anyio import sleep

        while not self._ownership.blind:
            await self._servers.look()
            while self._servers.pending:
                await emit(self._servers.pending.popleft())
            await sleep(INTERVAL)

    async def settle(self) -> list[DevUrlEvent]:
        """Scan after a tool call, and return the events that `watch` has not emitted.

        A server that a call has left running counts as soon as it listens: the result of the call gives its address
        where it listens by then. A server that starts to listen later is not waited for: `watch` reports it. A server
        that is just ending is waited for, so that no result names a server that has ended with the call.
        """
        await self._servers.look(left_count=True)
        await self._wait(START_TIME, lambda: self._servers.is_going)
        return self._servers.take_events()

    async def finish(self) -> list[DevUrlEvent]:
        """Take the last look of a run, before `complete`: servers that are coming up are waited for."""
        seconds = 2 * START_TIME
        await self._servers.look(is_last=True)
        await self._wait(seconds, lambda: bool(self._servers.new) or self._expected(seconds))
        await self._servers.look(is_last=True)
        return self._servers.take_events()

    async def _wait(self, seconds: float, reason: Callable[[], bool]) -> None:
        from anyio import sleep

        deadline = time.monotonic() + seconds
        while reason() and time.monotonic() < deadline:
            await sleep(RIPE / 2)
            await self._servers.look()

    def _expected(self, start_time: float) -> bool:
        """Return whether a process that was left running is so young that it may still start to listen."""
        running = (Process.of(entry.pid) for entry in self._background())
        young = {process for process in running if process and process.age < start_time}
        with_server = set[Process]().union(*(server.origin.above for server in self._servers.up.values()))
        return not young <= with_server

    def moved(self, sandbox_id: str) -> None:
        """Use another sandbox id in public addresses, and report those of servers that are up again."""
        self._template = replace(self._template, sandbox_id=sandbox_id)
        self._servers.change_template(self._template)

    def up(self) -> list[DevUrlEvent]:
        """The servers that are up, in order of coming up."""
        return [server.event("up", self._template) for server in self._servers.listening()]

    def latest(self) -> DevUrlEvent | None:
        """The address to open; see `server.best`."""
        server = best(self._servers.listening())
        return server.event("up", self._template) if server else None

    def left(self) -> list[RunningServer]:
        """The processes that serve, for `complete.left`: each with the port that a person would open."""
        ports: dict[int | None, list[Server]] = {}
        for server in self._servers.listening():
            ports.setdefault(server.pid, []).append(server)
        listed = [best(servers) or servers[0] for servers in ports.values()]
        return [left for server in listed if (left := server.running())]

    def advice(self) -> str:
        """Return a text for the model about what has changed since the last report; "" for nothing."""
        return self._servers.changes.take(self._servers.up.values(), self._template)

    def hint(self, text: str) -> None:
        """Learn URLs and ports from a tool's output. A server whose output is a file is judged by that alone."""
        self._servers.announcements.hear(text)

    def note_call(self, text: str) -> None:
        """Learn from the arguments of a tool's call, before it runs, which ports and commands the run means."""
        self._ownership.arguments.note(text)

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
            await self._servers.look()
            found = best(self._servers.listening()) if port is None else self._servers.on(port)
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
            others = sorted(
                {listener.port for listener in self._ownership.listeners()} - self._servers.up.keys()
            )
            raise ToolError(
                absence(port, self._servers.listening(), self._servers.stopped.get(port or 0), others)
            )
        self._servers.changes.known(server.port)
        own = server.port in self._servers.up
        note = "" if own else "\nThis run did not start that server: it belongs to the sandbox."
        return describe(server, self._template) + note
