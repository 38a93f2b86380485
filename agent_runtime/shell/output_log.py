"""Keeps the log of processes that outlive their call, or the runtime: `python -I -S keeper.py LOG LIMIT SIZE
CUT < pipe`.

Why a pipe with a keeper, and not a plain log file as the command's stdout: a file cannot be bounded while
somebody else writes it, `> /dev/stderr` in a script would truncate it, and a flood would outrun any trimming.
A pipe slows its writer down. While a call runs the runtime itself reads the pipe; what outlives the call is
handed to this small process of its own session. So a background server never gets a SIGPIPE, whatever becomes
of the runtime, and its log stays bounded for as long as it lives.

This file is run by its path and imports nothing but `os` and `sys`: it starts in milliseconds and stays
small."""

from __future__ import annotations

import os
import sys

MARK = 80  # bytes of the line that stands for what was cut
_PIECE = 1 << 20


class BoundedLog:
    """A log file of at most `limit` bytes: its first half stays, the rest follows the end of the output.

    Whenever the file is full the last quarter of it moves up to the middle, so that it is always one readable
    text in order, also for `tail -f`. A disk that is full loses text, never the writer: see `lost`.

    Args:
        path: made (0644) at the first write.
        limit: bytes that the file may have at most.
        size: bytes of it that are there already, when the log is taken over.
        cut: bytes cut out of the middle so far.
    """

    def __init__(self, path: str, limit: int, *, size: int = 0, cut: int = 0) -> None:
        self.path = path
        self.limit = max(limit, 4096)
        self.size = size
        self.cut = cut
        self.lost = 0
        self.error = ""
        self._fd = -1

    def write(self, data: bytes | memoryview) -> None:
        """Append. Never raises: what cannot be written is counted in `lost`, with the reason in `error`."""
        view = memoryview(data)
        try:
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            while view:
                if self.size >= self.limit:
                    self._compact()
                done = os.pwrite(self._fd, view[: self.limit - self.size], self.size)
                self.size += done
                view = view[done:]
        except OSError as error:
            self.lost += len(view)
            self.error = error.strerror or str(error)

    def read(self, start: int, end: int) -> bytes:
        """The file's bytes from `start` to `end`; fewer when they are not there."""
        return os.pread(self._fd, end - start, start) if self._fd >= 0 else b""

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _compact(self) -> None:
        keep = self.limit // 4
        source, target = self.limit - keep, self.limit // 2
        self.cut += source - target - (MARK if self.cut else 0)
        mark = f"\n[... {self.cut} bytes cut here ...]"
        os.pwrite(self._fd, mark.ljust(MARK - 1).encode() + b"\n", target)
        target += MARK
        while source < self.limit:
            piece = os.pread(self._fd, min(_PIECE, self.limit - source), source)
            os.pwrite(self._fd, piece, target)
            source += len(piece)
            target += len(piece)
        os.ftruncate(self._fd, target)
        self.size = target


def main(path: str, limit: str, size: str, cut: str) -> None:
    """Read stdin to its end (EIO is a pseudo-terminal's) into the log."""
    log = BoundedLog(path, int(limit), size=int(size), cut=int(cut))
    os.set_blocking(0, True)
    while True:
        try:
            data = os.read(0, 1 << 16)
        except OSError:
            return
        if not data:
            return
        log.write(data)


if __name__ == "__main__":
    main(*sys.argv[1:])
