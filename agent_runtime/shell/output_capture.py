"""Captures the output of a process, at the speed of its pipe and in bounded memory.

A thread reads into a ring buffer, which holds the end of the output, and all of it as long as it fits. Only an output
that is larger, or whose writers outlive the call, is written to a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import mmap
import os
import select
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterable, Sequence

import anyio

from agent_runtime.protocol.text import split_ends
from agent_runtime.shell.ansi import clean
from agent_runtime.shell.displayed import displayed
from agent_runtime.shell.log_writer import LogWriter, is_at_end
from agent_runtime.shell.output_log import BoundedLog
from agent_runtime.shell.truncation import (
    BYTES_PER_TOKEN,
    TruncatedOutput,
    decode_head,
    join_truncated,
    location,
    whole_tail,
)
from agent_runtime.system.processes import Process

RING = 2 << 20  # bytes at the end of an output that are kept
HEAD = 256 << 10  # and at its beginning
_RECENT = 16 << 10  # bytes at the end of an output
_QUIET_SECONDS = 0.05  # without output, after which what is left running is taken to be idle
_SETTLE_SECONDS = 1.0  # the longest wait for that
_PIPE_BYTES = 1 << 20  # the most that a user may ask for by default: /proc/sys/fs/pipe-max-size


class OutputCapture:
    """The output of one command, while it is being written and afterwards.

    Args:
        fd: the reading end of a pipe, or a pseudo-terminal's master; owned from now on, made non-blocking.
        open_log: opens the file for what does not fit in memory; called at most once.
        on_data: called in the reading thread with this object and the number of bytes that were just read.

    Attributes:
        total: bytes so far.
        lines: line ends so far.
        ended: end of file: no process can write any more.
        log: the file, once there is one.
    """

    def __init__(
        self,
        fd: int,
        open_log: Callable[[], BoundedLog],
        *,
        on_data: Callable[[OutputCapture, int], None] | None = None,
    ) -> None:
        self.total = 0
        self.lines = 0
        self.ended = False
        self.log: BoundedLog | None = None
        self._open_log, self._on_data = open_log, on_data
        self._fd = fd
        self._ring = mmap.mmap(-1, RING)  # uses memory for written pages only, which can be released
        self._head = b""
        self._lines_reported = 0
        self._loop = asyncio.get_running_loop()
        self._changed = anyio.Event()
        self._awaited = False
        self._done = False
        self._stopping = False
        self._lock = threading.RLock()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._pump, name="output", daemon=True)
        os.set_blocking(fd, False)
        with contextlib.suppress(OSError):  # a terminal, or the user's limit of pipe memory is reached
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            self._thread.start()
        except RuntimeError:  # at the limit of processes: `kill` must work without a new thread
            for source in (fd, self._wake):
                self._loop.add_reader(source, self._read_in_loop)

    async def more(self, seen: int) -> None:
        """Wait until there are more than `seen` bytes, or the output has ended."""
        while True:
            self._awaited = True  # set before the check: the thread changes the state before it checks this
            if self.total > seen or self.ended:
                return
            await self._changed.wait()

    async def settle(self, writers: Callable[[], Iterable[Process]]) -> None:
        """Wait for output that has been printed and is not here yet (`exec > >(tee log)`), and for what a server prints
        at its start: until the end, or until nothing comes and no writer is busy, at most a second.
        """
        end = time.monotonic() + _SETTLE_SECONDS
        while not self.ended and time.monotonic() < end:
            seen = self.total
            with anyio.move_on_after(_QUIET_SECONDS):
                await self.more(seen)
            if self.total == seen and not any(process.state in "RD" for process in writers()):
                return

    async def drain(self) -> None:
        """Read what has been written so far, then stop reading."""
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        while True:
            self._awaited = True
            if self._done:
                return
            await self._changed.wait()

    def close(self) -> None:
        """Close the descriptors and the file. Only after `drain`."""
        if self._thread.ident is not None:
            self._thread.join()
        for fd in (self._fd, self._wake):
            if fd >= 0:
                os.close(fd)
        self._fd = self._wake = -1
        if self.log:
            self.log.close()

    def hand_over(self, *, hold: Sequence[int] = ()) -> LogWriter:
        """Give the pipe to a helper process, which writes the log until no process can write any more. Only after
        `drain`. Raises OSError when no process can be started.

        `hold`: descriptors that the helper keeps open until then.
        """
        return LogWriter(self._fd, self.spilled(), hold=hold)

    def spilled(self) -> BoundedLog:
        """The file with the whole output, written now if it was not yet."""
        with self._lock:
            if self.log is None:
                self.log = self._open_log()
                self.log.write(self.read(0, self.total))
            return self.log

    def read(self, start: int, end: int) -> bytes:
        """Bytes of the output. Only the first HEAD and the last RING bytes are kept: fewer may be returned."""
        with self._lock:
            if end <= len(self._head):
                return self._head[start:end]
            start = max(start, self.total - RING)
            if start >= end:
                return b""
            begin, stop = start % RING, end % RING
            if begin < stop:
                return self._ring[begin:stop]
            return self._ring[begin:] + self._ring[:stop]

    def recent(self) -> str:
        """The end of the output so far, as it was written."""
        return self.read(max(0, self.total - _RECENT), self.total).decode(errors="replace")

    def fit(
        self, tokens: int, *, since: int = 0, until: int | None = None, final: int = 0
    ) -> TruncatedOutput:
        """The output from byte `since` to byte `until` as the model gets it: as a terminal displays it, and cut to so
        many tokens. What follows does not change the first `final` bytes.
        """
        with self._lock:
            until = self.total if until is None else until
            size = until - since
            lines = self.lines - self.read(until, self.total).count(b"\n")
        lines, self._lines_reported = lines - (self._lines_reported if since else 0), lines
        data = self.read(since, until)
        if len(data) == size:
            text = clean(data[:final].decode("utf-8", "replace"))
            text = (text + displayed(data[final:].decode("utf-8", "replace"))).removesuffix("\n")
            if len(text.encode()) <= tokens * BYTES_PER_TOKEN:
                return TruncatedOutput(text, False, size, None)
            head = tail = text
            size, lines = len(text.encode()), text.count("\n")
        else:
            first = self._read_head(since)
            head = clean(first[:final].decode("utf-8", "replace")) + displayed(decode_head(first[final:]))
            end = displayed(whole_tail(data[-HEAD:]).decode("utf-8", "replace"))
            tail = end.removesuffix("\n")
            size, lines = size - len(end) + len(tail), lines - len(end) + len(tail)
        log = self.spilled()
        head, tail = split_ends(head, tail, tokens * BYTES_PER_TOKEN)
        text = join_truncated(head, tail, size, lines, location(log))
        return TruncatedOutput(text, True, until - since, None if log.error else log.path)

    def _read_head(self, since: int) -> bytes:
        if since >= self.total - RING:
            return self.read(since, since + HEAD)
        return self.read(since, HEAD)  # nothing, when that is beyond the head

    def _pump(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        poll.poll()  # a FIFO that no process has opened yet would look like one at its end
        last: int | None = None  # bytes to read after `drain`, because a flood may never end
        while not self.ended and (last is None or last > 0):
            if self._stopping and last is None:
                last = self._waiting()
            with self._lock:
                taken = self._take()
            if taken:
                if self._on_data:
                    self._on_data(self, taken)
                last = None if last is None else last - taken
                self._notify()
            elif not self.ended:
                # `_stopping` may have been set, and more have come, since it was checked above
                if last is not None:
                    break
                poll.poll()
        self.ended = self.ended or is_at_end(self._fd)
        self._done = True
        self._notify()

    def _read_in_loop(self) -> None:
        """Read in the event loop when no thread can be started."""
        remaining = self._waiting() if self._stopping else 1
        while remaining > 0 and not self.ended:
            with self._lock:
                count = self._take()
            if not count:
                break
            if self._on_data:
                self._on_data(self, count)
            remaining -= count
        if self.ended or self._stopping:
            for source in (self._fd, self._wake):
                self._loop.remove_reader(source)
            self.ended = self.ended or is_at_end(self._fd)
            self._done = True
        self._notify()

    def _waiting(self) -> int:
        try:
            return int.from_bytes(fcntl.ioctl(self._fd, termios.FIONREAD, bytes(4)), sys.byteorder)
        except OSError:
            return 0

    def _take(self) -> int:
        place = self.total % RING
        with memoryview(self._ring) as ring:
            try:
                count = os.readv(self._fd, [ring[place : place + _PIPE_BYTES]])
            except BlockingIOError:
                return 0
            except OSError:  # EIO: the last process on a pseudo-terminal has closed it
                count = 0
            if not count:
                self.ended = True
                return 0
            piece = ring[place : place + count]
            self.lines += self._ring[place : place + count].count(b"\n")
            if len(self._head) < HEAD:
                self._head += bytes(piece[: HEAD - len(self._head)])
            self.total += count
            if self.log is not None:
                self.log.write(piece)
            elif self.total >= RING:  # the ring is overwritten from now on
                self.log = self._open_log()
                self.log.write(ring)
        return count

    def _notify(self) -> None:
        if not self._awaited:  # waking the loop for each piece would halve the speed
            return
        self._awaited = False
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._announce)

    def _announce(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
