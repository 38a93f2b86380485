"""Handles the signals that cancel a run, or freeze and thaw it, from the start of the program to its exit."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from agent_runtime.system.signals import (
    CATCHABLE,
    FAULTS,
    STOPPING,
    be_prompt,
    sender_of,
)

AGAIN = 2.0  # seconds within which a second signal kills at once
HURRY_SECONDS = 0.5  # for writing the last events after a second signal
HELD = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)  # blocked while the program starts
_WAKE = signal.SIGWINCH  # wakes the thread; ignored everywhere else
_UNKNOWN = -1  # pid of a sender that was not reported
FREEZING: dict[int, str] = {signal.SIGUSR1: "freeze", signal.SIGUSR2: "thaw"}
_ALWAYS = (signal.SIGINT, signal.SIGTERM)  # others may be ignored on purpose, by nohup for instance


class Interrupted(BaseException):
    """A signal arrived while the request was being read."""


def _nothing() -> None:
    """Used until there is a run."""


def release() -> None:
    """Unblock the signals that were blocked when the program started (see __main__)."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)


class SignalHandler:
    """Reports the first signal to the run; a second one within two seconds kills the program.

    SIGUSR1 and SIGUSR2 freeze and thaw the run.

    While it is armed (until the request has been read) a signal raises Interrupted instead. Once tools can run, a
    thread receives all signals with sigwaitinfo(2), which names their sender; every other thread blocks them.
    As those of FAULTS are blocked too, a fault in native code ends the program without a traceback.

    Attributes:
        handled: the handled signals, without those that the parent made this program ignore.
        reason: "SIGINT" or "SIGTERM" once a signal has arrived.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._raising = False
        self._listener: Callable[[str], None] | None = None
        self._kill: Callable[[], None] = _nothing
        self._hurry: Callable[[], None] | None = None
        self._freezes: Callable[[str], None] | None = None
        self._early: list[str] = []  # "freeze" and "thaw" that arrived before `listen`
        self._when = 0.0
        self._killed = False
        self._ended = False
        self._thread: threading.Thread | None = None
        self._ignores: Callable[[int, int], bool] | None = None
        self.handled = frozenset(
            number for number in CATCHABLE if number in _ALWAYS or signal.getsignal(number) != signal.SIG_IGN
        )
        for number in self.handled - FAULTS - STOPPING:
            signal.signal(number, self._caught)
        release()

    def arm(self, ready: Callable[[], bool] = lambda: False) -> None:
        """Let signals raise Interrupted from now on.

        Raises Interrupted at once when a signal has arrived before, unless `ready` returns True.
        """
        self._raising = True
        if self.reason and not ready():
            self._raising = False
            raise Interrupted

    def disarm(self) -> None:
        """Keep signals for `listen` from now on."""
        self._raising = False

    def hold(self) -> None:
        """Block the signals in this thread and in threads that it starts, until `listen` receives them.

        Must be called before another thread is started, which would otherwise receive them without their sender.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, {*self.handled, _WAKE})

    def listen(
        self,
        listener: Callable[[str], None],
        *,
        kill: Callable[[], None],
        hurry: Callable[[], None],
        ignores: Callable[[int, int], bool],
        freezes: Callable[[str], None],
    ) -> None:
        """Call `listener` with the reason of the first signal, even if it arrived before this call.

        All callbacks may be called at any time and in any thread.

        Args:
            listener: cancels the run.
            kill: kills the child processes at a second signal.
            hurry: ends the run at once, after `kill`.
            ignores: returns whether to ignore a signal, given its number and the pid of its sender.
            freezes: called with "freeze" for SIGUSR1 and "thaw" for SIGUSR2, also for those that arrived before.
        """
        self._freezes = freezes
        for action in self._early:
            freezes(action)
        self._listener, self._kill, self._hurry, self._ignores = listener, kill, hurry, ignores
        if self.reason:
            listener(self.reason)
        for number in self.handled & STOPPING:
            signal.signal(number, self._caught)
        self._thread = threading.Thread(target=self._receive, args=(ignores,), name="signals", daemon=True)
        self._thread.start()
        # The kernel prefers the thread that received the last signal. So another thread that must not block signals
        # for a moment (see system.spawn) gets none.
        os.kill(os.getpid(), _WAKE)

    def ended(self) -> None:
        """Ignore signals from now on: one during the exit of the process would change the exit status.

        The handlers stay. Python prints a traceback when a signal arrives while its handler is replaced by SIG_IGN.
        """
        self._ended = True
        if self._killed:
            self._exit()
        if self._thread:
            os.kill(os.getpid(), _WAKE)
            self._thread.join(1.0)

    def received(self, number: int) -> None:
        """Handle a signal of the caller. Raises Interrupted while the handler is armed."""
        if self._ended:
            return
        if number in STOPPING:
            os.kill(os.getpid(), signal.SIGSTOP)
            return
        if action := FREEZING.get(number):
            if self._freezes:
                self._freezes(action)
            else:
                self._early.append(action)
            return
        if number in FAULTS and faulthandler.is_enabled():
            faulthandler.dump_traceback(all_threads=True)
        now = time.monotonic()
        again = self.reason is not None and now - self._when < AGAIN
        self._when = now
        if again and number != signal.SIGXCPU:  # the kernel sends SIGXCPU every second
            self._kill_all()
            return
        self.reason = self.reason or ("SIGINT" if number == signal.SIGINT else "SIGTERM")
        if self._raising:
            self._raising = False
            raise Interrupted
        if self._listener:
            self._listener(self.reason)

    def _receive(self, ignores: Callable[[int, int], bool]) -> None:
        be_prompt()
        while not self._ended:
            info = signal.sigwaitinfo({*self.handled, _WAKE})
            if info.si_signo != _WAKE and not ignores(info.si_signo, sender_of(info)):
                self.received(info.si_signo)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if self._ignores is None or not self._ignores(number, _UNKNOWN):
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
