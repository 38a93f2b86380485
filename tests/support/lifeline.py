"""Learns from the kernel when processes have ended, without a list of them."""

from __future__ import annotations

import os
import select
from pathlib import Path


class Lifeline:
    """A FIFO. A process holds it when it, or one that it descends from, was started with `>PATH` (any descriptor).

    Args:
        path: of the FIFO, which is made.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._read = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._read, 0)

    def held(self) -> bool:
        """Whether a process has written into the FIFO."""
        try:
            return bool(os.read(self._read, 100))
        except BlockingIOError:  # held, and nothing written
            return False

    def released(self, seconds: float = 60) -> bool:
        """Wait until the last process that holds the FIFO has ended; False when there is one after that time."""
        return bool(self._poll.poll(seconds * 1000))

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._read)
