"""A bounded log file, and the helper process that writes one: see `log_writer`.

This file is also run as a script, without the package: it imports only modules that start in milliseconds.
"""

from __future__ import annotations

import os
import signal

CUT_LINE = 80  # bytes of the line that stands for what was cut
_CUT_TEXT = "\n[... {} bytes cut here ...]"
_PIECE = 1 << 20
_PREFIX = "LOG_WRITER_"


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

    @classmethod
    def resumed(cls, path: str, limit: int) -> BoundedLog:
        """The log that another process has written so far; an empty one where its file cannot be read."""
        log = cls(path, limit)
        try:
            with open(path, "rb") as file:  # noqa: PTH123 -- no pathlib in the helper
                log.size = os.fstat(file.fileno()).st_size
                file.seek(log.limit // 2)
                line = file.read(CUT_LINE)
        except OSError:
            return log
        before, after = _CUT_TEXT.encode().split(b"{}")
        count = line.rstrip()[len(before) : -len(after)]
        if line.startswith(before) and line.rstrip().endswith(after) and count.isdigit():
            log.cut = int(count)
        return log

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
        self.cut += source - target - (CUT_LINE if self.cut else 0)
        os.pwrite(self._fd, _CUT_TEXT.format(self.cut).ljust(CUT_LINE - 1).encode() + b"\n", target)
        target += CUT_LINE
        while source < self.limit:
            piece = os.pread(self._fd, min(_PIECE, self.limit - source), source)
            os.pwrite(self._fd, piece, target)
            source += len(piece)
            target += len(piece)
        os.ftruncate(self._fd, target)
        self.size = target


def settings(log: BoundedLog) -> dict[str, str]:
    """The variables by which the helper knows which log it writes."""
    values = {"PATH": log.path, "LIMIT": log.limit, "SIZE": log.size, "CUT": log.cut}
    return {_PREFIX + name: str(value) for name, value in values.items()}


def main() -> None:
    """Write stdin to the log until its end (EIO is a pseudo-terminal's). SIGTERM, SIGINT and SIGHUP are ignored."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _set_name("agent-log")
    path, *numbers = (os.environ[_PREFIX + name] for name in ("PATH", "LIMIT", "SIZE", "CUT"))
    limit, size, cut = map(int, numbers)
    log = BoundedLog(path, limit, size=size, cut=cut)
    os.set_blocking(0, True)
    while True:
        try:
            data = os.read(0, 1 << 16)
        except OSError:
            return
        if not data:
            return
        log.write(data)


def _set_name(name: str) -> None:
    try:
        with open("/proc/self/comm", "w") as file:  # noqa: PTH123 -- no pathlib in the helper
            file.write(name)
    except OSError:  # /proc is read-only
        return


if __name__ == "__main__":
    main()
