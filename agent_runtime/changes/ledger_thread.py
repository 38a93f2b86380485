"""Runs the work of change tracking outside of the event loop: one piece at a time, each bounded by a deadline."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agent_runtime.changes.deadline import Deadline
from agent_runtime.changes.degradation import Degradation
from agent_runtime.changes.tracked_files import TrackedFiles
from agent_runtime.protocol.events import FileEditEvent

if TYPE_CHECKING:
    from agent_runtime.changes.ledger import Ledger

log = logging.getLogger(__name__)

_BEGIN_WAIT = 0.05  # seconds that `begin` waits for its thread
HURRY = 0.3  # seconds for each piece of work in a run that was stopped

Work = Callable[["Ledger"], Iterable[FileEditEvent]]


class LedgerThread:
    """Takes the baseline, opens the ledger when it is first needed, and works with it. Failures are noted.

    Args:
        take: takes the baseline.
        open_ledger: makes the ledger.
        deadline: shared with both.
        degradation: records failures.

    Attributes:
        files: the tracked files; None until the baseline is taken, and when it could not be taken.
        used: whether any work was asked for.
        live: the folders in which the run works.
    """

    def __init__(
        self,
        take: Callable[[], TrackedFiles],
        open_ledger: Callable[[TrackedFiles], Ledger],
        deadline: Deadline,
        degradation: Degradation,
    ) -> None:
        self._take, self._open_ledger = take, open_ledger
        self._deadline, self._degradation = deadline, degradation
        self._baseline: threading.Thread | None = None
        self._lock = threading.Lock()
        self._ledger: Ledger | None = None  # opened under the lock
        self._found: list[FileEditEvent] = []  # not returned yet; changed under the lock
        self._hurried = False
        self.files: TrackedFiles | None = None
        self.used = False
        self.live = frozenset((b"",))

    def begin(self) -> None:
        """Start to take the baseline; returns when that is done, or after 50 ms."""
        self._baseline = threading.Thread(target=self._take_baseline, name="baseline", daemon=True)
        self._baseline.start()
        self._baseline.join(_BEGIN_WAIT)

    async def ready(self) -> None:
        """Wait until the baseline is taken."""
        from anyio import to_thread

        if self._baseline and self._baseline.is_alive():
            await to_thread.run_sync(self._baseline.join, abandon_on_cancel=True)

    def is_quiet(self) -> bool:
        """Return whether a scan would certainly find nothing, so that no thread has to look."""
        if self._ledger is None or not self._lock.acquire(blocking=False):
            return False
        try:
            return not self._found and self._ledger.is_quiet
        finally:
            self._lock.release()

    async def run(self, work: Callable[[Ledger], None], seconds: float = math.inf) -> None:
        """Run work in a thread, which stops soon after `seconds`. When this is cancelled, the thread goes on."""
        from anyio import to_thread

        self.used = True
        await to_thread.run_sync(self._locked, work, seconds, abandon_on_cancel=True)

    async def look(self, work: Work, seconds: float = math.inf) -> list[FileEditEvent]:
        """Run work, and return what was found by now. When this is cancelled, the thread stops soon."""

        def collect(ledger: Ledger) -> None:
            for event in work(ledger):
                self._found.append(event)

        try:
            await self.run(collect, seconds)
        except BaseException:
            self._deadline.set(0)
            raise
        found, self._found = self._found, []
        return found

    @contextmanager
    def here(self, *, wait: float, seconds: float) -> Iterator[Ledger | None]:
        """Use the ledger in this thread, for `seconds` at most.

        Yields None where there is none, or when a thread does not end its work within `wait` seconds.
        """
        self._deadline.set(0)
        if not self._lock.acquire(timeout=wait):
            self._degradation.note("time")
            yield None
            return
        try:
            self._deadline.restart(seconds)
            yield self._ledger
        finally:
            self._lock.release()

    def hurry(self) -> None:
        """Bound every piece of work from now on, the one that is under way too."""
        self._hurried = True
        self._deadline.set(HURRY)

    def _take_baseline(self) -> None:
        try:
            self.files = self._take()
        except Exception as error:
            log.warning("changed files are not reported: the workspace could not be read", exc_info=True)
            self._degradation.note("off", error=error)

    def _locked(self, work: Callable[[Ledger], None], seconds: float) -> None:
        if self._baseline:
            self._baseline.join()
        if self.files is None:
            return
        with self._lock:
            self._deadline.clear()
            self._deadline.set(HURRY if self._hurried else seconds)
            try:
                self._ledger = self._ledger or self._open_ledger(self.files)
                work(self._ledger)
                self.live = self._ledger.live()
            except Exception as error:
                log.warning("changed files could not be examined", exc_info=True)
                self._degradation.note("failed", error=error)
