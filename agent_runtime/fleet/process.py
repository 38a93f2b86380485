"""The process of a run that belongs to a runner: it ends with its runner, because the reader of its events is gone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from agent_runtime.server.launch import Launcher, Streams
from agent_runtime.system.processes import Process

_LONGEST_LINE = 2 << 20  # bytes; events have at most half of it
_GRACE = 6.0  # seconds for a run to end after its reader has gone; cancelling takes at most 3


class RunProcess:
    """A run that was started.

    Args:
        pid: of its process.
        reader: its events.
        control: its stdin.
    """

    def __init__(self, pid: int, reader: asyncio.StreamReader, control: asyncio.WriteTransport) -> None:
        self._process = Process.of(pid)
        self._reader, self._control = reader, control

    async def lines(self) -> AsyncIterator[bytes]:
        """The events, until the process has ended; an incomplete last line is left out."""
        while (line := await self._reader.readline()).endswith(b"\n"):
            yield line[:-1]

    def send(self, message: dict[str, Any]) -> None:
        """Send a control message."""
        self._control.write(json.dumps(message).encode() + b"\n")

    async def ended(self) -> None:
        """Wait for the end of the process; kill it when it does not end by itself."""
        if self._process is None:
            return
        try:
            descriptor = os.pidfd_open(self._process.pid)
        except ProcessLookupError:
            return
        gone, loop = asyncio.Event(), asyncio.get_running_loop()
        loop.add_reader(descriptor, gone.set)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_GRACE):
                    await gone.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        if not gone.is_set():
            self._process.send(signal.SIGKILL)
            await self.kill_tools()

    async def kill_tools(self) -> None:
        """Kill the processes that a killed run has left; a run that is not killed stops its tools itself."""
        if self._process is None:
            return
        marker = f"{self._process.pid}."
        while found := await asyncio.to_thread(_marked, marker):
            for process in found:
                process.send(signal.SIGKILL)
            await asyncio.sleep(0.01)


def _marked(marker: str) -> list[Process]:
    """The processes that were started by a run."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208 - names are enough
    found = filter(None, map(Process.of, pids))
    return [process for process in found if not process.gone and (process.marker or "").startswith(marker)]


@asynccontextmanager
async def started(launcher: Launcher, request: bytes) -> AsyncIterator[RunProcess]:
    """Start a run that runs no tools before it is resumed. At the end of the block it is stopped if it is still active.

    Raises:
        OSError: it cannot be started.
    """
    stdin, control_end = os.pipe()
    events_end, stdout = os.pipe()
    try:
        os.write(control_end, b'{"action":"pause","before":"tool"}\n')
        pid = await asyncio.to_thread(launcher.launch, request, Streams(stdin, stdout, 2))
    except BaseException:
        os.close(control_end)
        os.close(events_end)
        raise
    finally:
        os.close(stdin)
        os.close(stdout)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    events, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(events_end, "rb", 0)
    )
    control, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(control_end, "wb", 0))
    process = RunProcess(pid, reader, control)
    try:
        yield process
    finally:
        events.close()
        control.close()
        await asyncio.shield(process.ended())
        launcher.reap()
