"""Reads what a process prints, at the speed of its pipe and in bounded memory.

A thread reads into a ring; the ring's content is the end of the output, and all of it as long as it fits.
Only an output that is larger, or whose writers outlive the call, is written to a file."""

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
from agent_runtime.shell.log_writer import LogWriter
from agent_runtime.shell.output_log import BoundedLog
from agent_runtime.shell.truncation import (
    BYTES_PER_TOKEN,
    TruncatedOutput,
    decode_head,
    decode_tail,
    join,
    where,
)
from agent_runtime.system.processes import Process

RING = 2 << 20
HEAD = 256 << 10
_RECENT = 16 << 10  # bytes at the end of an output
_QUIET = 0.05  # seconds without output after which what is left running is taken to be at rest
_SETTLE = 1.0  # and the longest wait for that
_PIPE = 1 << 20  # /proc/sys/fs/pipe-max-size: as much as a user may ask for


class OutputCapture:
    """The output of one command, while it is being written and after.

    Args:
        fd: a pipe's end or a pseudo-terminal's master; owned from now on, made non-blocking.
        open_log: gives the file for what does not fit in memory; called at most once.
        on_data: called in the reading thread with this and the number of bytes that have just come.
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
        self.ended = False  # end of file: nobody can write any more
        self.log: BoundedLog | None = None
        self._open_log, self._on_data = open_log, on_data
        self._fd = fd
        self._ring = mmap.mmap(-1, RING)  # a page is memory once it is written, and is given back
        self._head = b""
        self._loop = asyncio.get_running_loop()
        self._changed = anyio.Event()
        self._awaited = False
        self._done = False
        self._stopping = False
        self._lock = threading.RLock()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._pump, name="output", daemon=True)
        os.set_blocking(fd, False)
        with contextlib.suppress(OSError):  # a terminal, or beyond the user's share of pipe memory
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE)
        self._thread.start()

    async def more(self, seen: int) -> None:
        """Wait until more than `seen` bytes have come, or the end."""
        while True:
            self._awaited = True  # before looking: the thread sets first, then looks
            if self.total > seen or self.ended:
                return
            await self._changed.wait()

    async def settle(self, writers: Callable[[], Iterable[Process]]) -> None:
        """Wait for what has been printed and is still on its way (`exec > >(tee log)`), and for a server's
        first words: until the end, or until nothing comes and no writer is busy, at most a second.
        """
        end = time.monotonic() + _SETTLE
        while not self.ended and time.monotonic() < end:
            seen = self.total
            with anyio.move_on_after(_QUIET):
                await self.more(seen)
            if self.total == seen and not any(process.state in "RD" for process in writers()):
                return

    async def drain(self) -> None:
        """Take what has been written by now, and stop reading."""
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        while True:
            self._awaited = True
            if self._done:
                return
            await self._changed.wait()

    def close(self) -> None:
        """Let go of descriptors and file. After `drain` only."""
        self._thread.join()
        for fd in (self._fd, self._wake):
            if fd >= 0:
                os.close(fd)
        self._fd = self._wake = -1
        if self.log:
            self.log.close()

    def hand_over(self, *, hold: Sequence[int] = ()) -> LogWriter:
        """Give the pipe to a helper process, which writes the log for as long as anybody can write. After `drain`.

        `hold`: descriptors that it keeps open for as long.
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
        """Bytes of the output; only those of the first HEAD and the last RING bytes are there."""
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

    def fit(self, tokens: int, *, since: int = 0, until: int | None = None) -> TruncatedOutput:
        """The output from `since` on (to `until`) as the model gets it: cleaned, cut to so many tokens."""
        until = self.total if until is None else until
        size, lines = until - since, self.lines
        if size <= RING // 2:
            text = clean(self.read(since, until).decode("utf-8", "replace")).removesuffix("\n")
            if len(text.encode()) <= tokens * BYTES_PER_TOKEN:
                return TruncatedOutput(text, False, size, None)
            head = tail = text
            size, lines = len(text.encode()), text.count("\n")
        else:
            head = clean(decode_head(self.read(since, HEAD)))
            end = clean(decode_tail(self.read(until - HEAD, until)))
            tail = end.removesuffix("\n")
            size, lines = size - len(end) + len(tail), lines - len(end) + len(tail)
        log = self.spilled()
        first, last = split_ends(head, tail, tokens * BYTES_PER_TOKEN)
        text = join(first, last, size, lines, where(log))
        return TruncatedOutput(text, True, until - since, None if log.error else log.path)

    def _pump(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        poll.poll()  # a FIFO that nobody has opened yet would look like one at its end
        last: int | None = None  # bytes to take after being told to stop: a flood has no end of its own
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
                # not `_stopping`: it may have been set, and more have come, since the look
                if last is not None:
                    break
                poll.poll()
        hung_up = [(self._fd, select.POLLHUP)]  # and nothing to read: a log_writer would have nothing to do
        self.ended = self.ended or hung_up == [found for found in poll.poll(0) if found[0] == self._fd]
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
                count = os.readv(self._fd, [ring[place : place + _PIPE]])
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
            elif self.total >= RING:  # from here on the ring overwrites itself
                self.log = self._open_log()
                self.log.write(ring)
        return count

    def _notify(self) -> None:
        if not self._awaited:  # a wake-up for each piece would halve the speed
            return
        self._awaited = False
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._announce)

    def _announce(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
