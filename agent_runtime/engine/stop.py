"""Stops a run early: for a signal, a control message, the timeout, or a closed event stream."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio

log = logging.getLogger(__name__)


class StopSwitch:
    """Stops a run from outside its loop.

    Args:
        on_stop: called once with the reason, before anything is cancelled.

    Attributes:
        reason: why the run was stopped; None if it was not. Only the first reason is kept.
    """

    def __init__(self, on_stop: Callable[[str], None]) -> None:
        self.reason: str | None = None
        self._on_stop = on_stop
        self._scopes: list[anyio.CancelScope] = []

    def stop(self, reason: str) -> None:
        """Stop the run: cancel all open scopes. Later calls do nothing."""
        if self.reason is None:
            log.debug("stopped: %s", reason)
            self.reason = reason
            self._on_stop(reason)
            for scope in self._scopes:
                scope.cancel()

    async def wait(self) -> None:
        """Wait until the run is stopped."""
        with self.scope():
            await anyio.sleep_forever()

    @contextmanager
    def scope(self) -> Iterator[anyio.CancelScope]:
        """Open a cancel scope that is cancelled when the run is stopped, at once if it was stopped before."""
        with anyio.CancelScope() as scope:
            self._scopes.append(scope)
            if self.reason is not None:
                scope.cancel()
            try:
                yield scope
            finally:
                self._scopes.remove(scope)
