"""SIGINT, SIGTERM and SIGHUP, from the first instruction to the last."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from types import FrameType

AGAIN = 2.0  # seconds: a second signal within them kills at once
CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal came while nothing but the request was being awaited."""


class Interrupts:
    """Notes the first signal and tells whoever listens; a second one within two seconds kills the process.

    While it is armed (the synchronous part, before the first event) a signal raises Interrupted instead.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.raising = False
        self.listener: Callable[[str], None] | None = None
        self.kill: Callable[[], None] = lambda: None  # ends the children when the process is killed
        self._when = 0.0
        for number in CAUGHT:
            signal.signal(number, self._caught)

    def arm(self) -> None:
        """From now on a signal raises Interrupted; one that came before does so at once."""
        self.raising = True
        if self.reason:
            self.raising = False
            raise Interrupted

    def listen(self, listener: Callable[[str], None]) -> None:
        """From now on `listener` is told, also of a signal that came before. It may be called at any instruction."""
        self.listener = listener
        if self.reason:
            listener(self.reason)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.reason and now - self._when < AGAIN:
            self.kill()
            os._exit(128 + number)
        self._when = now
        self.reason = self.reason or ("SIGINT" if number == signal.SIGINT else "SIGTERM")
        if self.raising:
            self.raising = False
            raise Interrupted
        if self.listener:
            self.listener(self.reason)
