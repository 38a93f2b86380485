from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent_runtime.dev_servers import watcher
from agent_runtime.dev_servers.watcher import DevServerWatcher
from agent_runtime.protocol.events import DevUrlEvent
from agent_runtime.system.subreaper import become_subreaper
from tests.dev_servers.watchers import make_watcher
from tests.support.waiting import until_async

_PR_SET_CHILD_SUBREAPER = 36

WITNESS = "import signal, socket; s = socket.create_server(('127.0.0.1', 0)); signal.pause()"

Start = Callable[..., object]


@dataclass
class Scene:
    """A run's view of the servers, with the events that `watch` emitted and when."""

    servers: DevServerWatcher
    events: list[DevUrlEvent] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    late: float = 0.0  # seconds by which sleeps came too late: what a busy machine takes from a bound

    async def measure(self) -> None:
        while True:
            began = time.monotonic()
            await anyio.sleep(0.01)
            self.late += time.monotonic() - began - 0.01

    async def emit(self, event: DevUrlEvent) -> None:
        self.events.append(event)
        self.times.append(time.monotonic())

    async def event(self, status: str, *, pid: int | None = None, port: int | None = None) -> DevUrlEvent:
        """The first such event, awaited."""

        def found() -> DevUrlEvent | None:
            wanted = (
                e
                for e in self.events
                if e.status == status and pid in (None, e.pid) and port in (None, e.port)
            )
            return next(wanted, None)

        return await until_async(found)

    async def all_events(self, start: Start, *, closed: bool = True) -> list[DevUrlEvent]:
        """The events of all that has happened until now, also of what takes a moment before it is reported.

        A witness comes up, and goes down again. It is reported after whatever had opened or closed a port before it.

        Args:
            start: runs a command (its words) as a tool of the run would.
            closed: wait for the report of ports that have closed, too.
        """
        before = len(self.events)
        start(sys.executable, "-c", WITNESS, "witness")
        up = await until_async(lambda: next((e for e in self.events[before:] if _is_witness(e)), None))
        assert up.pid
        os.kill(up.pid, signal.SIGKILL)
        if closed:
            await self.event("down", port=up.port)
        return [event for event in self.events if not _is_witness(event)]

    def statuses(self) -> list[tuple[str, int]]:
        return [(event.status, event.port) for event in self.events]


def _is_witness(event: DevUrlEvent) -> bool:
    return (event.command or "").endswith(" witness")


Watching = Callable[..., Any]


@pytest.fixture
def watching() -> Watching:
    @asynccontextmanager
    async def scene(**options: Any) -> AsyncIterator[Scene]:
        servers = make_watcher(**options)
        seen = Scene(servers)
        async with anyio.create_task_group() as group:
            group.start_soon(servers.watch, seen.emit)
            group.start_soon(seen.measure)
            yield seen
            group.cancel_scope.cancel()

    return scene


Launch = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Start a process as a tool would; whatever it leaves behind is killed with its process group."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        *command: str, log: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        with (log or Path(os.devnull)).open("ab") as out:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=tmp_path,
                env=env,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def python(launch: Launch) -> Launch:
    """Start a Python program given as text, with this interpreter."""
    return lambda source, *arguments, **options: launch(
        sys.executable, "-u", "-c", source, *arguments, **options
    )


@pytest.fixture
def subreaper() -> None:
    """Orphans come to this process, as they come to the runtime."""
    assert become_subreaper()


@pytest.fixture
def no_subreaper() -> None:
    """Orphans do not come to this process, although a test before this one may have made it a subreaper."""
    assert ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) == 0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes its time to answer a request that checks for HTTP."""
    monkeypatch.setattr(watcher, "_CHECK_SECONDS", 60.0)


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port that the kernel gives to nobody else while the test runs: bound in a way that lets a server listen."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
