"""The run's own time: it stands still while the machine is frozen, so that a thawed run has its deadlines left.

A VM snapshot or SIGSTOP may hold the process for hours between any two instructions. Then either the monotonic clock
has jumped (the process was stopped) or the wall clock has run away from it (the machine was): both are seen by a tick.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import anyio

TICK = 0.5  # seconds
FROZEN = 10.0  # a tick that comes this much late was not just a busy machine


class RunClock:
    """Seconds since the start of the run, without those it was frozen."""

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._monotonic, self._wall = monotonic, wall
        self._started = monotonic()
        self._frozen = 0.0
        self._last = (monotonic(), wall())

    def elapsed(self) -> float:
        """Seconds; a freeze that no tick has seen yet counts at most one tick."""
        since = self._monotonic() - self._last[0]
        return self._last[0] - self._started - self._frozen + (since if since < FROZEN else TICK)

    def tick(self) -> float:
        """Look at the clocks; the seconds that the run was frozen since the last look, or 0."""
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
        """Until cancelled: call `expire` at the deadline, `thawed` with the seconds after a freeze."""
        while True:
            left = TICK if limit is None else min(TICK, max(0.0, limit - self.elapsed()))
            await anyio.sleep(left)
            if gap := self.tick():
                await thawed(gap)
            elif limit is not None and self.elapsed() >= limit:
                expire()
                return
