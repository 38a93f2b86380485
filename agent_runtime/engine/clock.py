"""The clock of a run and of its event loop. It stops while the machine is frozen, so that no deadline is missed.

A VM snapshot or SIGSTOP may stop the process for hours between any two instructions. Then either the monotonic clock
jumps (the process was stopped), or the wall clock advances more than the monotonic one (the machine was stopped). A
tick detects both. A freeze that is announced stops the clock at once.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import anyio

TICK = 0.5  # seconds
FROZEN = 10.0  # seconds; a tick that is later than this was delayed by a freeze, not by a busy machine
_NEVER_DUE = 1.0  # seconds that a stopped clock is behind: no timer is due, so the event loop does not spin


class RunClock:
    """Measures seconds without frozen time. Its `now` is the time of the event loop (see RunEventLoop)."""

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._monotonic, self._wall = monotonic, wall
        self._frozen = self._slept = 0.0
        self._last, self._ticked = monotonic(), wall() - monotonic()
        self._stopped: float | None = None  # the time at which it was stopped
        self._waited = 0.0  # for the user
        self._held: list[float] = []  # what had elapsed when each of the current holds began
        self._started = self.now()

    def now(self) -> float:
        """Return a monotonic time in seconds, without frozen time. A freeze that was not announced counts as a tick."""
        if self._stopped is not None:
            return self._stopped - _NEVER_DUE
        real = self._monotonic()
        since = real - self._last
        if since >= FROZEN:
            self._frozen += since - TICK
            self._slept += since - TICK
        self._last = real
        return real - self._frozen

    def stop(self) -> None:
        """Stop the clock. Does nothing when it is stopped."""
        if self._stopped is None:
            self._stopped = self.now()

    def go(self) -> float:
        """Let a stopped clock go on. Returns the seconds that passed meanwhile, also on the wall; 0 if it was not."""
        if self._stopped is None:
            return 0.0
        stood = self._monotonic() - self._frozen - self._stopped
        stopped_machine = self._wall() - self._monotonic() - self._ticked
        self._frozen += stood
        self._stopped = None
        self._last, self._ticked = self._monotonic(), self._wall() - self._monotonic()
        return max(0.0, stood) + max(0.0, stopped_machine)

    def elapsed(self) -> float:
        """Return the seconds since the start, without frozen time and without waiting for the user."""
        return self._held[0] if self._held else self._running()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Stop `elapsed`, while the run waits for its user. May be entered more than once."""
        self._held.append(self.elapsed())
        try:
            yield
        finally:
            held = self._held.pop()
            if not self._held:
                self._waited += self._running() - held

    def _running(self) -> float:
        return self.now() - self._started - self._waited

    def tick(self) -> float:
        """Compare the clocks, and return the seconds of freezes since the last tick that were not announced, or 0."""
        self.now()
        offset = self._wall() - self._monotonic()
        jumped, self._ticked = offset - self._ticked, offset
        slept, self._slept = self._slept, 0.0
        gap = max(slept, jumped)
        return gap if gap >= FROZEN - TICK and self._stopped is None else 0.0

    async def watch(
        self, limit: float | None, expire: Callable[[], None], thawed: Callable[[float], Awaitable[None]]
    ) -> None:
        """Call `expire` at the deadline, and `thawed` with the seconds after each freeze. Runs until cancelled."""
        while True:
            left = TICK if limit is None else min(TICK, max(0.0, limit - self.elapsed()))
            await anyio.sleep(left)
            if gap := self.tick():
                await thawed(gap)
            elif limit is not None and self.elapsed() >= limit:
                expire()
                return


class _IdleSelector(selectors.DefaultSelector):
    """Calls functions before it begins to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.functions: list[Callable[[], None]] = []

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See selectors.BaseSelector."""
        if not self.functions or (timeout is not None and timeout <= 0):
            return super().select(timeout)
        if not (found := super().select(0)):
            functions, self.functions = self.functions, []
            for function in functions:
                function()
            found = super().select(0)  # the functions may have scheduled something
        return found


class RunEventLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is that of a clock: frozen time moves all its deadlines.

    Args:
        now: the time in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._idle = _IdleSelector()
        super().__init__(self._idle)
        self._now = now

    def time(self) -> float:
        """Return the time of the clock."""
        return self._now()

    def call_when_idle(self, function: Callable[[], None]) -> None:
        """Call a function once, when there is nothing left to do but wait. Must be called in the loop."""
        self._idle.functions.append(function)


def call_when_idle(function: Callable[[], None]) -> None:
    """Call a function once, when the event loop has nothing left to do but wait."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, RunEventLoop)
    loop.call_when_idle(function)
