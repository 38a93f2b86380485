"""The change tracker: which files of the workspace changed, by which call, and the diff of each.

How it knows:
    `begin` lists the whole tree once, in a thread, and keeps the texts that are kept nowhere else: what git's index
    says is unchanged is left to git, the rest is copied into a file without a name (see `content_store`). After that
    inotify reports the names that something happened to, and only those are read. Where it cannot, because a limit is
    reached, its queue overflowed or a file system does not support it, the whole tree is listed and compared, and
    between two such walks the folders that the run works in (see `live`). `finish` always compares everything, for
    what inotify does not report: writes through a memory map or another hard link.

What it guarantees:
    The diffs, applied in the order of the events, lead from the tree at `begin` to the tree at the end. So events
    must be emitted in the order in which they were found: hold `turn()` over a call of `note`, `scan` or `finish`
    and the emitting of what it returned.

Where it cannot:
    `notices` says so, once for each kind of limit (see `degradation`). A file that cannot be handled is left out alone.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_runtime.changes.baseline import Baseline
from agent_runtime.changes.deadline import Deadline
from agent_runtime.changes.degradation import Degradation
from agent_runtime.protocol.events import FileEditEvent, NoticeEvent

if TYPE_CHECKING:
    import anyio

    from agent_runtime.changes.ledger import Ledger
    from agent_runtime.changes.polling import PolledFolders

log = logging.getLogger(__name__)

_BEGIN_WAIT = 0.05  # seconds that `begin` waits for its thread
_SETTLE = 0.2  # seconds of writes that `watch` reports as one change
_SETTLE_MOST = 5.0  # the same, for a file that is written continuously
_HURRY = 0.3  # seconds for each look of a run that was stopped
_FINISH = 15.0  # seconds for the last look of any other run
_NET_WAIT = 1.0  # seconds that `net` waits for a thread that still works
_POLL = 2.0  # seconds between walks without inotify, or twenty times as long as one takes


@dataclass(frozen=True)
class NetChanges:
    """The run's effect: paths absolute and sorted, as in `complete`.

    `ignored` is `{"atLeast": n, "folders": {top folder: n}}` for changes in ignored places, None without any.
    """

    files: tuple[str, ...] = ()
    deleted_files: tuple[str, ...] = ()
    ignored: dict[str, Any] | None = None


class ChangeTracker:
    """See the module. Failures to track are noticed and logged; they never fail a run.

    Args:
        workspace: the tree; need not be a repository, or may be a folder of one.
        diff_dir: where diffs go that do not fit an event; outside the workspace, made when needed.
        track_ignored: only `.git` and `exclude` are left out.
        exclude: files and folders that are never looked at: what the runtime itself writes.
    """

    def __init__(
        self, workspace: Path, *, diff_dir: Path, track_ignored: bool = False, exclude: Sequence[Path] = ()
    ) -> None:
        self._root = os.fsencode(workspace.absolute())
        self._diff_dir = diff_dir.absolute()
        self._degradation = Degradation()
        self._deadline = Deadline()
        self._baseline = Baseline(
            self._root,
            diff_dir.parent,
            exclude=[os.fsencode(path) for path in (diff_dir, *exclude)],
            everything=track_ignored,
            degradation=self._degradation,
        )
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._ledger: Ledger | None = None  # made under the lock, once the baseline is there
        self._live = frozenset((b"",))  # folders in which the run works
        self._found: list[FileEditEvent] = []  # not returned yet; changed under the lock
        self._turn: anyio.Lock | None = None
        self._held = 0
        self._used = False
        self._hurried = False

    def begin(self) -> None:
        """Start the first look; returns when it is done, or after 50 ms. `ready` awaits the rest."""
        self._thread = threading.Thread(target=self._baseline.take, name="baseline", daemon=True)
        self._thread.start()
        self._thread.join(_BEGIN_WAIT)

    async def ready(self) -> None:
        """Await this before the first tool that may change files: only then all old contents are kept."""
        if self._thread and self._thread.is_alive():
            from anyio import to_thread

            await to_thread.run_sync(self._thread.join, abandon_on_cancel=True)
        if not self._used:
            await self._in_thread(lambda ledger: None)

    async def expect(self, paths: Sequence[Path]) -> set[bytes]:
        """An edit tool is about to write these paths. Returns what is to be given to `release` after that.

        Keeps their contents where the baseline does not: outside of the workspace, and in ignored places. Until the
        release, scans leave these paths out.
        """
        expected: set[bytes] = set()
        await self._in_thread(lambda ledger: expected.update(ledger.expect(paths)))
        return expected

    async def release(self, expected: set[bytes]) -> None:
        """The edit is over: from here on a change of these paths is not the edit tool's."""
        await self._in_thread(lambda ledger: ledger.release(expected))

    async def note(self, paths: Sequence[Path], *, call_id: str) -> list[FileEditEvent]:
        """Return what an edit tool has just written, deleted or moved; call it while the paths are still locked."""
        return await self._look(lambda ledger: ledger.note(paths, call_id))

    async def scan(self, *, call_id: str | None) -> list[FileEditEvent]:
        """Return what shell commands changed since the last look. `call_id` if no other call was running."""
        return await self._look(lambda ledger: ledger.scan(call_id))

    async def finish(self, *, hurried: bool = False) -> list[FileEditEvent]:
        """A last look: at everything, or, `hurried`, at what inotify reported; none when no tool ever ran.

        Bounded in time: past it, changes are reported without diffs, or in `net` alone. Without inotify a hurried
        look is at everything too, unless that is known to take too long.
        """
        if not self._used:
            return []
        everything = not hurried or (self._baseline.watcher is None and self._baseline.walk < _HURRY)
        seconds = _HURRY if hurried else _FINISH
        try:
            return await self._look(lambda ledger: ledger.finish(everything=everything), seconds)
        except BaseException:
            self._degradation.note("time")
            raise

    def hurry(self) -> None:
        """The run is being stopped: from now on every look is bounded, the one that is under way too.

        What a look leaves is continued by the next one.
        """
        self._hurried = True
        self._deadline.set(_HURRY)

    def notices(self) -> list[NoticeEvent]:
        """Return what could not be tracked, each kind once."""
        return self._degradation.take()

    async def watch(self, emit: Callable[..., Awaitable[None]]) -> None:
        """Emit what is written between calls, until cancelled. While `hold` is held, that is left to `scan`."""
        import anyio
        import anyio.to_thread

        from agent_runtime.changes.polling import PolledFolders

        if self._thread:
            await anyio.to_thread.run_sync(self._thread.join, abandon_on_cancel=True)
        pause, reported = _SETTLE, 0.0
        with closing(PolledFolders(self._root)) as folders:
            while self._baseline.taken:
                live = await self._activity(folders)
                await anyio.sleep(_SETTLE if self._held else pause)
                async with self.turn():
                    began = time.monotonic()
                    found = await self._look(partial(self._between_calls, live=live))
                    with anyio.CancelScope(shield=True):  # what was found is not found again
                        for event in [*found, *self.notices()]:
                            await emit(event)
                    if found:  # a writer that goes on is reported less and less often
                        pause = (
                            min(2 * pause, _SETTLE_MOST) if began - reported < 2 * _SETTLE_MOST else _SETTLE
                        )
                        reported = time.monotonic()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Held while a tool runs that may change files: the `scan` after it reports what it did."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Held by one task at a time over looking and emitting. Not reentrant."""
        import anyio

        self._turn = self._turn or anyio.Lock()
        async with self._turn:
            yield

    def net(self) -> NetChanges:
        """Return the effect of the run so far. Files that are still to be examined are compared by their stat."""
        self._deadline.set(0)
        if not self._lock.acquire(timeout=_NET_WAIT):
            return NetChanges()
        try:
            if self._ledger is None:
                return NetChanges()
            self._ledger.settle()
            return NetChanges(*self._ledger.net(), self._baseline.tree.ignored.summary())
        finally:
            self._lock.release()

    async def _activity(self, folders: PolledFolders) -> frozenset[bytes] | None:
        """Wait until there may be something to find, in these folders (None: anywhere)."""
        import anyio

        if watcher := self._baseline.watcher:
            await anyio.wait_readable(watcher.fd)
            return None
        left = self._baseline.walked + max(_POLL, 20 * self._baseline.walk) - time.monotonic()
        live = self._live
        return live if await folders.wait(live, left) else None

    def _between_calls(self, ledger: Ledger, live: frozenset[bytes] | None) -> Iterable[FileEditEvent]:
        return ledger.collect() if self._held else ledger.scan(None, live=live)

    async def _look(
        self, work: Callable[[Ledger], Iterable[FileEditEvent]], seconds: float = math.inf
    ) -> list[FileEditEvent]:
        """Let a thread work, and return what was found by now. When this is cancelled, the thread stops soon."""

        def collect(ledger: Ledger) -> None:
            for event in work(ledger):
                self._found.append(event)

        try:
            await self._in_thread(collect, seconds)
        except BaseException:
            self._deadline.set(0)
            raise
        found, self._found = self._found, []
        return found

    async def _in_thread(self, work: Callable[[Ledger], None], seconds: float = math.inf) -> None:
        from anyio import to_thread

        self._used = True
        await to_thread.run_sync(self._locked, work, seconds, abandon_on_cancel=True)

    def _locked(self, work: Callable[[Ledger], None], seconds: float) -> None:
        if self._thread:
            self._thread.join()
        if not self._baseline.taken:
            return
        with self._lock:
            self._deadline.clear()
            self._deadline.set(_HURRY if self._hurried else seconds)
            try:
                self._ledger = self._ledger or self._opened()
                work(self._ledger)
                self._live = self._ledger.live()
            except Exception as error:
                log.warning("changed files could not be looked at", exc_info=True)
                self._degradation.note("failed", error=error)

    def _opened(self) -> Ledger:
        from agent_runtime.changes.file_edit_events import FileEditReporter
        from agent_runtime.changes.ledger import Ledger  # not needed to start

        reporter = FileEditReporter(
            self._root, self._diff_dir, self._baseline.contents, self._deadline, self._degradation
        )
        return Ledger(self._root, self._baseline, reporter, self._deadline, self._degradation)
