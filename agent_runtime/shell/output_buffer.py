"""The output of a command in bounded memory.

A ring buffer holds the end of the output, and all of it as long as it fits; the beginning is kept apart. Only an output
that is larger is written to a file.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable

from agent_runtime.protocol.text import split_ends
from agent_runtime.shell.ansi import clean
from agent_runtime.shell.displayed import displayed
from agent_runtime.shell.output_log import BoundedLog
from agent_runtime.shell.truncation import (
    BYTES_PER_TOKEN,
    TruncatedOutput,
    decode_head,
    join_truncated,
    location,
    whole_tail,
)

RING = 2 << 20  # bytes at the end of an output that are kept
HEAD = 256 << 10  # and at its beginning
_RECENT = 16 << 10  # bytes at the end of an output
PIPE_BYTES = 1 << 20  # the most that a user may ask for by default: /proc/sys/fs/pipe-max-size


class OutputBuffer:
    """The output of a command, which may be read while it grows in another thread.

    Args:
        open_log: opens the file for what does not fit in memory; called at most once.

    Attributes:
        total: bytes so far.
        lines: line ends so far.
        ended: end of file: no process can write any more.
        log: the file, once there is one.
        lock: held while the output grows.
    """

    def __init__(self, open_log: Callable[[], BoundedLog]) -> None:
        self.total = 0
        self.lines = 0
        self.ended = False
        self.log: BoundedLog | None = None
        self.lock = threading.RLock()
        self._open_log = open_log
        self._ring = mmap.mmap(-1, RING)  # uses memory for written pages only, which can be released
        self._head = b""
        self._lines_reported = 0

    def spilled(self) -> BoundedLog:
        """The file with the whole output, written now if it was not yet."""
        with self.lock:
            if self.log is None:
                self.log = self._open_log()
                self.log.write(self.read(0, self.total))
            return self.log

    def read(self, start: int, end: int) -> bytes:
        """Bytes of the output. Only the first HEAD and the last RING bytes are kept: fewer may be returned."""
        with self.lock:
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
        with self.lock:
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

    def take(self, fd: int) -> int:
        """Read once from a descriptor that does not block; returns the number of bytes. Sets `ended` at the end."""
        place = self.total % RING
        with memoryview(self._ring) as ring:
            try:
                count = os.readv(fd, [ring[place : place + PIPE_BYTES]])
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
