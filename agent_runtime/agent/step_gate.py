"""Holds the steps of a run back while it is frozen, and knows whether the run is waiting or at work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio


class StepGate:
    """The gate before each model and tool step.

    The run counts as at work unless it waits for something that may come later as well: for the gate, the end of a
    pause, an answer of the user, or the time of the next attempt.
    """

    def __init__(self) -> None:
        self._opened: anyio.Event | None = None  # set when the gate is opened; None while it is open
        self._idle = 0
        self._became_idle = anyio.Event()

    @property
    def is_closed(self) -> bool:
        """Whether steps have to wait."""
        return self._opened is not None

    def close(self) -> None:
        """Let no further step begin."""
        if self._opened is None:
            self._opened = anyio.Event()

    def open(self) -> None:
        """Let steps begin again."""
        if self._opened is not None:
            self._opened.set()
            self._opened = None

    async def ready(self) -> None:
        """Wait until the gate is open."""
        while self._opened is not None:
            with self.idle():
                await self._opened.wait()

    @contextmanager
    def idle(self) -> Iterator[None]:
        """Count the run as waiting inside of this context."""
        self._idle += 1
        self._became_idle.set()
        try:
            yield
        finally:
            self._idle -= 1
            if not self._idle:
                self._became_idle = anyio.Event()

    @property
    def is_idle(self) -> bool:
        """Whether the run waits."""
        return self._idle > 0

    async def until_idle(self) -> None:
        """Wait until the run waits."""
        await self._became_idle.wait()
