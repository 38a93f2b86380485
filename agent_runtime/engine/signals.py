"""Signals that cancel the run, from the first instruction to the last."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

AGAIN = 2.0  # seconds: a second signal within them kills at once
HURRY_SECONDS = 0.5  # for the last events after that
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
    """Used until there is a run."""


class SignalHandler:
    """Reports the first signal to the run; a second one within two seconds kills.

    While it is armed (until the request has been read) a signal raises Interrupted instead. Once tools can run, the
    signals are received by a thread (sigwaitinfo(2)), which learns who has sent them.

    Attributes:
        handled: the signals, without those that the parent has chosen to ignore.
        reason: "SIGINT" or "SIGTERM" once a signal has come.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._raising = False
        self._listener: Callable[[str], None] | None = None
        self._kill: Callable[[], None] = _nothing
        self._hurry: Callable[[], None] | None = None
        self._when = 0.0
        self._killed = False
        self._ended = False
        self._thread: threading.Thread | None = None
        self.handled = frozenset(
            number
            for number in CAUGHT
            if number not in _MAY_BE_IGNORED or signal.getsignal(number) != signal.SIG_IGN
        )
        for number in self.handled:
            signal.signal(number, self._caught)

    def arm(self, ready: Callable[[], bool] = lambda: False) -> None:
        """From now on a signal raises Interrupted; one that came before does so at once, unless all is ready."""
        self._raising = True
        if self.reason and not ready():
            self._raising = False
            raise Interrupted

    def disarm(self) -> None:
        """From now on a signal is kept for `listen`."""
        self._raising = False

    def hold(self) -> None:
        """Block the signals in this thread and those that it starts, until `listen` receives them.

        To be called before another thread is started: that one would take them without their sender.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, self.handled)

    def listen(
        self,
        listener: Callable[[str], None],
        *,
        kill: Callable[[], None],
        hurry: Callable[[], None],
        ignores: Callable[[int, int], bool],
    ) -> None:
        """Call `listener` with the reason of the first signal, also of one that came before.

        Args:
            listener: may be called at any instruction and in any thread, like the others.
            kill: ends the child processes, at a second signal.
            hurry: ends the run at once, whatever it waits for, after `kill`.
            ignores: is asked about each signal, by its number and the pid of its sender.
        """
        self._listener, self._kill, self._hurry = listener, kill, hurry
        if self.reason:
            listener(self.reason)
        self._thread = threading.Thread(target=self._receive, args=(ignores,), name="signals", daemon=True)
        self._thread.start()

    def ended(self) -> None:
        """All has been written. A signal during the exit of the interpreter would change the exit status."""
        self._ended = True
        if self._killed:
            self._exit()
        for number in CAUGHT:
            signal.signal(number, signal.SIG_IGN)
        if self._thread:
            os.kill(os.getpid(), signal.SIGALRM)
            self._thread.join(1.0)

    def received(self, number: int) -> None:
        """Handle a signal of the caller. Raises Interrupted while the handler is armed."""
        if self._ended:
            return
        now = time.monotonic()
        again = self.reason is not None and now - self._when < AGAIN
        self._when = now
        if again and number != signal.SIGXCPU:  # that one comes every second
            self._kill_all()
            return
        self.reason = self.reason or ("SIGINT" if number == signal.SIGINT else "SIGTERM")
        if self._raising:
            self._raising = False
            raise Interrupted
        if self._listener:
            self._listener(self.reason)

    def _receive(self, ignores: Callable[[int, int], bool]) -> None:
        with suppress(
            OSError
        ):  # takes privileges; a `pkill` may have ended before a slower thread can look at it
            os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        while not self._ended:
            info = signal.sigwaitinfo(self.handled)
            if not ignores(info.si_signo, info.si_pid):
                self.received(info.si_signo)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        self.received(number)

    def _kill_all(self) -> None:
        self._kill()
        if self._killed or self._hurry is None:
            self._exit()
            return
        self._killed = True
        timer = threading.Timer(HURRY_SECONDS, self._exit)
        timer.daemon = True
        timer.start()
        self._hurry()

    def _exit(self) -> None:
        os._exit(128 + (signal.SIGINT if self.reason == "SIGINT" else signal.SIGTERM))
