"""Reads what a process prints, at the speed of its pipe and in bounded memory.

A thread reads into a ring; the ring's content is the end of the output, and all of it as long as it fits. Only an
output that is larger, or whose writers outlive the call, is written to a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable

import anyio

from agent_runtime.sandbox import keeper, processes
from agent_runtime.sandbox.keeper import BoundedLog
from agent_runtime.sandbox.output import BYTES_PER_TOKEN, Fitted, cut, join, where
from agent_runtime.sandbox.terminal import clean, decode_head, decode_tail

RING = 2 << 20
HEAD = 256 << 10
_PIPE = 1 << 20  # /proc/sys/fs/pipe-max-size: as much as a user may ask for


class Capture:
    """The output of one command, while it is being written and after.

    Args:
        fd: a pipe's end or a pseudo-terminal's master; owned from now on, made non-blocking.
        open_log: gives the file for what does not fit in memory; called at most once.
    """

    def __init__(self, fd: int, open_log: Callable[[], BoundedLog]) -> None:
        self.total = 0
        self.lines = 0
        self.ended = False  # end of file: nobody can write any more
        self.log: BoundedLog | None = None
        self._open_log = open_log
        self._fd = fd
        self._ring = bytearray(RING)
        self._head = b""
        self._loop = asyncio.get_running_loop()
        self._changed = anyio.Event()
        self._notified = False
        self._done = False
        self._lock = threading.Lock()
        self._stopped = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._pump, name="output", daemon=True)
        os.set_blocking(fd, False)
        with contextlib.suppress(OSError):  # a terminal, or beyond the user's share of pipe memory
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE)
        self._thread.start()

    async def more(self, seen: int) -> None:
        """Wait until more than `seen` bytes have come, or the end."""
        while self.total <= seen and not self.ended:
            await self._changed.wait()

    async def drain(self) -> None:
        """Take what has been written by now, and stop reading."""
        os.eventfd_write(self._stopped, 1)
        while not self._done:
            await self._changed.wait()

    def close(self) -> None:
        """Let go of descriptors and file. After `drain` only."""
        self._thread.join()
        for fd in (self._fd, self._stopped):
            if fd >= 0:
                os.close(fd)
        self._fd = self._stopped = -1
        if self.log:
            self.log.close()

    def hand_over(self) -> subprocess.Popen[bytes]:
        """Give the pipe to a keeper, which writes the log for as long as anybody has the pipe open. After `drain`."""
        log = self.spilled()
        args = [sys.executable, "-I", "-S", keeper.__file__, log.path, *map(str, (log.limit, log.size, log.cut))]
        null = os.open(os.devnull, os.O_RDWR)
        env = {processes.MARK: "keeper", "PATH": os.defpath}
        kept = processes.spawn(args, cwd="/", env=env, stdin=self._fd, stdout=null, stderr=null)
        os.close(null)
        return kept

    def spilled(self) -> BoundedLog:
        """The file with the whole output, written now if it was not yet."""
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
                return bytes(self._ring[begin:stop])
            return bytes(self._ring[begin:]) + bytes(self._ring[:stop])

    def fit(self, tokens: int, *, since: int = 0) -> Fitted:
        """The output from `since` on as the model gets it: cleaned, and cut to so many tokens."""
        size = self.total - since
        if size <= RING:
            text = clean(self.read(since, self.total).decode("utf-8", "replace")).removesuffix("\n")
            if len(text) <= tokens * BYTES_PER_TOKEN and len(text.encode()) <= tokens * BYTES_PER_TOKEN:
                return Fitted(text, False, size, None)
            head = tail = text
            size, lines = len(text.encode()), text.count("\n")
        else:
            end = len(self._head)
            head = clean(decode_head(self.read(since, end) if since < end else b""))
            tail = clean(decode_tail(self.read(self.total - HEAD, self.total))).removesuffix("\n")
            lines = self.lines
        log = self.spilled()
        first, last = cut(head, tail, tokens=tokens)
        return Fitted(join(first, last, size, lines, where(log)), True, self.total, None if log.error else log.path)

    def _pump(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._stopped, select.POLLIN)
        while not self.ended:
            ready = {fd for fd, _ in poll.poll()}
            if self._fd in ready:
                with self._lock:
                    self._take()
            elif self._stopped in ready:
                break
            self._notify()
        self._done = True
        self._notify()

    def _take(self) -> None:
        place = self.total % RING
        with memoryview(self._ring) as ring:
            try:
                count = os.readv(self._fd, [ring[place : place + _PIPE]])
            except BlockingIOError:
                return
            except OSError:  # EIO: the last process on a pseudo-terminal has closed it
                count = 0
            if not count:
                self.ended = True
                return
            piece = ring[place : place + count]
            self.lines += self._ring.count(b"\n", place, place + count)
            if len(self._head) < HEAD:
                self._head += bytes(piece[: HEAD - len(self._head)])
            self.total += count
            if self.log is not None:
                self.log.write(piece)
            elif self.total >= RING:  # from here on the ring overwrites itself
                self.log = self._open_log()
                self.log.write(ring)

    def _notify(self) -> None:
        if self._notified:
            return
        self._notified = True
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._announce)

    def _announce(self) -> None:
        self._notified = False
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
