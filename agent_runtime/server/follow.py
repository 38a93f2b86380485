"""Reading the streams of runs while they grow."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from agent_runtime.server.run_files import RunFiles, RunRecord
from agent_runtime.server.stream_file import Line, events_in, seek_after
from agent_runtime.system.file_watch import FileWatch

_PIECE = 1 << 16  # bytes that are read of a stream at once: what a slow reader costs in memory
_LOOK = 1.0  # seconds between two looks at a run whose server was killed while it started the run
_KEPT_LOOK = 0.5  # seconds between two looks at a run that no server has started


@dataclass
class _Followed:
    """A run with its followers: each has an event that is set when the stream has grown or the process has ended."""

    stop: list[Callable[[], None]] = field(default_factory=list)
    waiting: set[asyncio.Event] = field(default_factory=set)
    ended: bool = False

    def wake(self) -> None:
        for event in self.waiting:
            event.set()

    def end(self) -> None:
        self.ended = True
        self.wake()


class Follower:
    """Reads streams. Created and used inside one asyncio event loop."""

    def __init__(self, watch: FileWatch) -> None:
        self._watch = watch
        self._followed: dict[str, _Followed] = {}

    async def follow(self, files: RunFiles, record: RunRecord, after: int = -1) -> AsyncGenerator[list[Line]]:
        """The events after the number `after`, until `complete`; those that were written together as one list."""
        with files.stream.open("rb") as file, self._following(files, record) as (run, grown):
            position = seek_after(file, after)  # of the first line that was not read whole
            rest = b""
            while True:
                ended = run.ended  # before reading: everything that it wrote is read then
                piece = file.read(_PIECE)  # from the page cache
                if piece:
                    *whole, rest = (rest + piece).split(b"\n")
                    position += sum(map(len, whole)) + len(whole)
                    lines = events_in(whole)
                elif ended:
                    missing = await asyncio.to_thread(files.end, record)
                    lines = events_in(missing.splitlines())
                    file.seek(position)  # half a line of a killed run was replaced
                    rest = b""
                else:
                    await grown.wait()
                    grown.clear()
                    continue
                if found := [line for line in lines if line.seq > after]:
                    yield found
                if lines and lines[-1].type == "complete":
                    return

    @contextmanager
    def _following(self, files: RunFiles, record: RunRecord) -> Iterator[tuple[_Followed, asyncio.Event]]:
        run = self._followed.get(record.run_id)
        if run is None:
            run = self._followed[record.run_id] = _Followed()
            run.stop = [self._watch.watch(files.stream, run.wake), _on_end(files, record, run.end)]
        grown = asyncio.Event()
        run.waiting.add(grown)
        try:
            yield run, grown
        finally:
            run.waiting.discard(grown)
            if not run.waiting:
                del self._followed[record.run_id]
                for stop in run.stop:
                    stop()


def _on_end(files: RunFiles, record: RunRecord, ended: Callable[[], None]) -> Callable[[], None]:
    """Call `ended` when the process of the run has ended; returns a function that stops waiting for it."""
    if not files.is_alive(record):
        ended()
        return lambda: None
    if record.is_kept:
        return _on_end_of_unknown(files, record, ended, _KEPT_LOOK)
    try:
        descriptor = os.pidfd_open(record.pid)
    except OSError:  # its pid is not known
        return _on_end_of_unknown(files, record, ended, _LOOK)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)

    def seen() -> None:
        loop.remove_reader(descriptor)
        ended()

    if not files.is_alive(record):  # the pid may be another process's by now
        os.close(descriptor)
        ended()
        return lambda: None
    loop.add_reader(descriptor, seen)
    return stop


def _on_end_of_unknown(
    files: RunFiles, record: RunRecord, ended: Callable[[], None], seconds: float
) -> Callable[[], None]:
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def look() -> None:
        nonlocal timer
        if files.is_alive(record):
            timer = loop.call_later(seconds, look)
        else:
            ended()

    timer = loop.call_later(seconds, look)
    return lambda: timer.cancel()
