"""The log of the server on stderr. The server does not wait for a reader that has stopped reading."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from contextlib import suppress

_KEPT = 1_000  # records that wait for a slow reader; older ones are left out
_FORMAT = "%(levelname)s %(name)s: %(message)s"
_STDERR = 2
_END_SECONDS = 0.5  # for the rest at the end of the process


class BackgroundHandler(logging.Handler):
    """Formats records where they occur, and writes them in a thread of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(_FORMAT))
        self._waiting: deque[str] = deque(maxlen=_KEPT)
        self._some = threading.Event()
        self._written = threading.Event()
        self._written.set()
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        try:
            self._waiting.append(self.format(record))
        except Exception:  # arguments that do not fit the message
            self._waiting.append(f"{record.levelname} {record.name}: {record.msg!r}")
        self._written.clear()
        self._some.set()

    def flush(self) -> None:
        """Wait for the thread, but not for long. Called at the end of the process."""
        self._written.wait(_END_SECONDS)

    def _write(self) -> None:
        while self._some.wait():
            self._some.clear()
            while self._waiting:
                line = self._waiting.popleft()
                # not by sys.stderr: the end of the process would wait for its lock while nobody reads
                data = f"{line}\n".encode(errors="backslashreplace")
                with suppress(OSError):  # stderr is closed
                    while data:
                        data = data[os.write(_STDERR, data) :]
            if not self._some.is_set():
                self._written.set()


def log_to_stderr() -> None:
    """Write warnings and errors to stderr from now on."""
    logging.basicConfig(level=logging.WARNING, handlers=[BackgroundHandler()])
