"""Whatever signal may end this process, from the first instruction to the last."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from types import FrameType

AGAIN = 2.0  # seconds: a second signal within them kills at once
LAST_WORDS = 0.5  # seconds: then whatever is left to say stays unsaid
CAUGHT = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGXCPU,
)
_MAY_BE_IGNORED = (signal.SIGHUP, signal.SIGQUIT)  # nohup, and shells without job control, mean it


class Interrupted(BaseException):
    """A signal came while nothing but the request was being awaited."""


def _nothing() -> None:
    """Nobody is there yet."""


class SignalHandler:
    """Notes the first signal and tells whoever listens; a second one within two seconds kills.

    While it is armed (until the request is there) a signal raises Interrupted instead.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.raising = False
        self.listener: Callable[[str], None] | None = None
        self.kill: Callable[[], None] = _nothing  # ends the children
        self.hurry: Callable[[], None] | None = None  # ends the run now, whatever it may still be doing
        self._when = 0.0
        self._killed = False
        for number in CAUGHT:
            if number not in _MAY_BE_IGNORED or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._caught)

    def arm(self, ready: Callable[[], bool] = lambda: False) -> None:
        """From now on a signal raises Interrupted; one that came before does so at once, unless all is ready."""
        self.raising = True
        if self.reason and not ready():
            self.raising = False
            raise Interrupted

    def disarm(self) -> None:
        """From now on a signal is noted, for the run to tell."""
        self.raising = False

    def listen(
        self, listener: Callable[[str], None], *, kill: Callable[[], None], hurry: Callable[[], None]
    ) -> None:
        """Call `listener` with the reason of the first signal, also of one that came before.

        Args:
            listener: may be called at any instruction.
            kill: ends the child processes, at a second signal.
            hurry: ends the run at once, whatever it waits for, after `kill`.
        """
        self.listener, self.kill, self.hurry = listener, kill, hurry
        if self.reason:
            listener(self.reason)

    def ended(self) -> None:
        """All is said. A signal that comes while the interpreter goes down would change the exit status."""
        if self._killed:
            self._exit()
        for number in CAUGHT:
            signal.signal(number, signal.SIG_IGN)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        again = self.reason is not None and now - self._when < AGAIN
        self._when = now
        if again and number != signal.SIGXCPU:  # that one comes every second
            self._kill()
            return
        self.reason = self.reason or ("SIGINT" if number == signal.SIGINT else "SIGTERM")
        if self.raising:
            self.raising = False
            raise Interrupted
        if self.listener:
            self.listener(self.reason)

    def _kill(self) -> None:
        self.kill()
        if self._killed or self.hurry is None:
            self._exit()
            return
        self._killed = True
        signal.signal(signal.SIGALRM, lambda *_: self._exit())
        signal.setitimer(signal.ITIMER_REAL, LAST_WORDS)
        self.hurry()

    def _exit(self) -> None:
        os._exit(128 + (signal.SIGINT if self.reason == "SIGINT" else signal.SIGTERM))
