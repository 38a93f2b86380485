"""The clock of a run. It stops while the machine is frozen, so that deadlines are not missed after a thaw.

A VM snapshot or SIGSTOP may stop the process for hours between any two instructions. Then either the monotonic clock
jumps (the process was stopped) or the wall clock advances more than it (the machine was stopped). A tick detects both.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import anyio

TICK = 0.5  # seconds
FROZEN = 10.0  # seconds; a tick that is later than this was delayed by a freeze, not by a busy machine


class RunClock:
    """Measures the seconds since the start of the run, without frozen time."""

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._monotonic, self._wall = monotonic, wall
        self._started = monotonic()
        self._frozen = 0.0
        self._last = (monotonic(), wall())
        self._held: list[float] = []  # what had elapsed when each of the current holds began

    def elapsed(self) -> float:
        """Return the seconds since the start. A freeze that no tick has detected yet counts as one tick at most."""
        return self._held[0] if self._held else self._running()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Stop the clock, while the run waits for its user. May be entered more than once."""
        self._held.append(self.elapsed())
        try:
            yield
        finally:
            held = self._held.pop()
            if not self._held:
                self._frozen += self._running() - held

    def _running(self) -> float:
        since = self._monotonic() - self._last[0]
        return self._last[0] - self._started - self._frozen + (since if since < FROZEN else TICK)

    def tick(self) -> float:
        """Compare the clocks, and return the seconds that the run was frozen since the last tick, or 0."""
        now = (self._monotonic(), self._wall())
        slept = now[0] - self._last[0]
        gap = max(slept - TICK, now[1] - self._last[1] - slept)
        if slept - TICK >= FROZEN:
            self._frozen += slept - TICK
        self._last = now
        return gap if gap >= FROZEN else 0.0

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
