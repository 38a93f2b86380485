"""Lets the event loop end the work of a thread, which checks the deadline between two steps."""

from __future__ import annotations

import math
import time


class Deadline:
    """A time by which a thread should stop. Without one set it never passes."""

    def __init__(self) -> None:
        self._at = math.inf
        self._passed = False

    def set(self, seconds: float) -> None:
        """Stop in this many seconds, if not sooner."""
        self._at = min(self._at, time.monotonic() + seconds)

    def restart(self, seconds: float) -> None:
        """Stop in this many seconds, whatever was set before."""
        self._at, self._passed = time.monotonic() + seconds, False

    def clear(self) -> None:
        """Remove the deadline."""
        self._at, self._passed = math.inf, False

    @property
    def is_short(self) -> bool:
        """Whether less than a second is left."""
        return time.monotonic() > self._at - 1

    @property
    def passed(self) -> bool:
        """Whether it is time to stop."""
        self._passed = self._passed or time.monotonic() >= self._at
        return self._passed
