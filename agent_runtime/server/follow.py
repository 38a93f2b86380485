"""Reading the streams of runs while they grow."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from agent_runtime.server.run_files import RunFiles, RunRecord
from agent_runtime.server.stream_file import Line, events_in, seek_after
from agent_runtime.system.file_watch import FileWatch

_PIECE = 1 << 16  # bytes of a stream that are read at once, and held in memory for each slow reader
_LOOK = 1.0  # seconds between two looks at a run whose server was killed while it started the run
_KEPT_LOOK = 0.5  # seconds between two looks at a run that no server has started


class _Followed:
    """A run with its followers, who share one descriptor and the piece that was read last, as most need the same one.

    Attributes:
        waiting: has an event for each follower, which is set when the stream has grown or the process has ended.
        ended: whether the process has ended.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.waiting: set[asyncio.Event] = set()
        self.ended = False
        self._file = file
        self._last: tuple[int, list[Line], int] = (-1, [], -1)

    def wake(self) -> None:
        """The stream has grown."""
        for event in self.waiting:
            event.set()

    def end(self) -> None:
        """The process has ended."""
        self.ended = True
        self.wake()

    def position_after(self, after: int) -> int:
        """Return an offset that is not behind the first event after this number."""
        return seek_after(self._file, after)

    def read(self, position: int) -> tuple[list[Line], int]:
        """Return the events in the next whole lines from an offset on, and the offset after them."""
        if self._last[0] != position:
            data = os.pread(self._file.fileno(), _PIECE, position)  # from the page cache
            while b"\n" not in data and len(data) % _PIECE == 0 and data:  # a line that is longer
                more = os.pread(self._file.fileno(), _PIECE, position + len(data))
                if not more:
                    break
                data += more
            size = data.rfind(b"\n") + 1
            if not size:
                return [], position
            self._last = (position, events_in(data[:size].split(b"\n")), position + size)
        return self._last[1], self._last[2]


class Follower:
    """Reads streams. Created and used inside one asyncio event loop."""

    def __init__(self, watch: FileWatch) -> None:
        self._watch = watch
        self._followed: dict[tuple[str, str], tuple[_Followed, ExitStack]] = {}

    async def follow(self, files: RunFiles, record: RunRecord, after: int = -1) -> AsyncGenerator[list[Line]]:
        """Yield the events after the number `after`, until `complete`, in lists of those that were written together."""
        with self._following(files, record) as (run, grown):
            position = run.position_after(after)
            while True:
                ended = run.ended  # checked before reading, so that everything that it wrote is read
                start = position
                lines, position = run.read(start)
                if position == start:
                    if not ended:
                        await grown.wait()
                        grown.clear()
                        continue
                    missing = await asyncio.to_thread(files.end, record)  # "" when they are in the file now
                    lines = events_in(missing.splitlines())
                if found := [line for line in lines if line.seq > after]:
                    yield found
                if lines and lines[-1].type == "complete":
                    return

    @contextmanager
    def _following(self, files: RunFiles, record: RunRecord) -> Iterator[tuple[_Followed, asyncio.Event]]:
        key = record.run_id, record.created
        run, resources = self._followed.get(key) or self._opened(files, record)
        self._followed[key] = run, resources
        grown = asyncio.Event()
        run.waiting.add(grown)
        try:
            yield run, grown
        finally:
            run.waiting.discard(grown)
            if not run.waiting:
                del self._followed[key]
                resources.close()

    def _opened(self, files: RunFiles, record: RunRecord) -> tuple[_Followed, ExitStack]:
        with ExitStack() as resources:
            run = _Followed(resources.enter_context(files.stream.open("rb")))
            resources.callback(self._watch.watch(files.stream, run.wake))
            resources.callback(_on_end(files, record, run.end))
            return run, resources.pop_all()


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

    if not files.is_alive(record):  # its pid may belong to another process by now
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
