"""Which processes that a call left running may be servers that do not listen yet."""

from __future__ import annotations

import time
from collections.abc import Iterable

from agent_runtime.system.processes import Process


class StartingProcesses:
    """What calls left running, and since when: a server listens soon after its start, or late."""

    def __init__(self) -> None:
        self._noticed: dict[Process, float] = {}

    def update(self, pids: Iterable[int]) -> None:
        """Set the processes that calls have left running."""
        now = time.monotonic()
        running = filter(None, map(Process.of, pids))
        self._noticed = {process: self._noticed.get(process, now) for process in running}

    def younger_than(self, seconds: float) -> set[Process]:
        """Return the processes that were noticed less than this long ago."""
        now = time.monotonic()
        return {process for process, noticed in self._noticed.items() if now - noticed < seconds}
