"""The change tracker: which files of the workspace changed, by whom, and the patch of each.

How it knows:
    `begin` looks at the whole tree once, in a thread, and keeps what no one else has: files that git's index
    vouches for are left to git, other text is copied into a nameless file (see `store`). After that the
    kernel says which names something happened to (see `inotify`), and only those are read. Where it cannot
    say, because a limit is reached, its queue overflowed or a file system has no such thing, the whole tree
    is listed and compared instead, and between two such walks the folders where the run is at work (see
    `live`). `finish` always does that, for what no kernel reports: writes through a
    memory map or another hard link.

What it promises:
    The patches, applied in the order of the events, lead from the tree at `begin` to the tree at the end. So
    events must be emitted in the order in which they were found: hold `turn()` over a call of `note`, `scan`
    or `finish` and the emitting of what it returned.
"""

from __future__ import annotations

import logging
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
from agent_runtime.protocol.events import FileEditEvent

if TYPE_CHECKING:
    import anyio

    from agent_runtime.changes.ledger import Ledger
    from agent_runtime.changes.polling import PolledFolders

log = logging.getLogger(__name__)

_BEGIN_WAIT = 0.05  # seconds that `begin` waits for its thread
_SETTLE = 0.2  # seconds of writes that `watch` takes for one
_SETTLE_MOST = 5.0  # the same, for a file that is written on and on
_HURRY = 0.3  # seconds that a last look may take when somebody waits for the end
_POLL = 2.0  # seconds between walks where the kernel does not tell, or twenty times as long as one takes


@dataclass(frozen=True)
class NetChanges:
    """The run's effect: paths absolute and sorted, as `complete` tells them.

    `ignored` is `{"atLeast": n, "folders": {top folder: n}}` for changes in ignored places, None without any.
    """

    files: tuple[str, ...] = ()
    deleted_files: tuple[str, ...] = ()
    ignored: dict[str, Any] | None = None


class ChangeTracker:
    """See the module. Failures to track are logged, and never fail a run.

    Args:
        workspace: the tree; need not be a repository, or may be a folder of one.
        diff_dir: where patches go that do not fit an event; outside the workspace, made when needed.
        track_ignored: nothing but `.git` and `exclude` is left out.
        exclude: files and folders that are never looked at: what the runtime itself writes.
    """

    def __init__(
        self, workspace: Path, *, diff_dir: Path, track_ignored: bool = False, exclude: Sequence[Path] = ()
    ) -> None:
        self._root = os.fsencode(workspace.absolute())
        self._diff_dir = diff_dir.absolute()
        self._baseline = Baseline(
            self._root,
            diff_dir.parent,
            exclude=[os.fsencode(path) for path in (diff_dir, *exclude)],
            everything=track_ignored,
        )
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._ledger: Ledger | None = None  # made under the lock, once the baseline is there
        self._live = frozenset((b"",))  # folders where things happen
        self._orphans: list[FileEditEvent] = []  # found for a caller that was cancelled
        self._turn: anyio.Lock | None = None
        self._held = 0
        self._used = False

    def begin(self) -> None:
        """Start to look; returns when done, or after a twentieth of a second. `ready` awaits the rest."""
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
        """Paths that an edit tool is about to write. Returns what `release` takes, when it has, or has failed.

        Keeps what they hold where the baseline has nothing: outside of the workspace, and in ignored places.
        Until the release, a scan that runs beside leaves these paths alone.
        """
        expected: set[bytes] = set()
        await self._in_thread(lambda ledger: expected.update(ledger.expect(paths)))
        return expected

    async def release(self, expected: set[bytes]) -> None:
        """The edit is over: from here on a change of these paths is somebody else's."""
        await self._in_thread(lambda ledger: ledger.release(expected))

    async def note(self, paths: Sequence[Path], *, call_id: str) -> list[FileEditEvent]:
        """What an edit tool has just written, deleted or moved; right after it, the path still locked."""
        return await self._told(lambda ledger: ledger.note(paths, call_id))

    async def scan(self, *, call_id: str | None) -> list[FileEditEvent]:
        """What shell commands changed since the last look. `call_id` when only that one was running."""
        return await self._told(lambda ledger: ledger.scan(call_id))

    async def finish(self, *, hurried: bool = False) -> list[FileEditEvent]:
        """A last look at everything, or, `hurried`, at what the kernel told; at nothing when no tool ever ran.

        Where the kernel does not tell, a hurried look is at everything too, unless that is known to take long.
        """
        if not self._used:
            return []
        if hurried and self._baseline.watcher is None and self._baseline.walk > _HURRY:
            return await self._told(lambda ledger: ())
        return await self._told(lambda ledger: ledger.finish(everything=not hurried))

    async def watch(self, emit: Callable[[FileEditEvent], Awaitable[None]]) -> None:
        """Reports what is written between calls, until cancelled. While `hold` is held, `scan` does."""
        import anyio
        import anyio.to_thread

        from agent_runtime.changes.polling import PolledFolders

        if self._thread:
            await anyio.to_thread.run_sync(self._thread.join, abandon_on_cancel=True)
        pause, told = _SETTLE, 0.0
        with closing(PolledFolders(self._root)) as folders:
            while self._baseline.taken:
                live = await self._something(folders)
                await anyio.sleep(_SETTLE if self._held else pause)
                async with self.turn():
                    began = time.monotonic()
                    found = await self._told(partial(self._between_calls, live=live))
                    with anyio.CancelScope(shield=True):  # what was found is not found again
                        for event in found:
                            await emit(event)
                    if found:  # a writer that goes on is told less and less often
                        pause = min(2 * pause, _SETTLE_MOST) if began - told < 2 * _SETTLE_MOST else _SETTLE
                        told = time.monotonic()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Held while a tool runs that may change files: the `scan` after it tells what it did."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Held over looking and emitting, by one at a time. Not to be entered twice."""
        import anyio

        self._turn = self._turn or anyio.Lock()
        async with self._turn:
            yield

    def net(self) -> NetChanges:
        """The effect of the run so far, from what was found."""
        with self._lock:
            if self._ledger is None:
                return NetChanges()
            return NetChanges(*self._ledger.net(), self._baseline.tree.ignored.summary())

    async def _something(self, folders: PolledFolders) -> frozenset[bytes] | None:
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

    async def _told(self, work: Callable[[Ledger], Iterable[FileEditEvent]]) -> list[FileEditEvent]:
        found: list[FileEditEvent] = []
        try:
            await self._in_thread(lambda ledger: found.extend(work(ledger)))
        except BaseException:  # cancelled: what was found is not found again, so the next one tells it
            self._orphans += found
            raise
        orphans, self._orphans = self._orphans, []
        return orphans + found

    async def _in_thread(self, work: Callable[[Ledger], None]) -> None:
        from anyio import to_thread

        self._used = True
        await to_thread.run_sync(self._locked, work)

    def _locked(self, work: Callable[[Ledger], None]) -> None:
        if self._thread:
            self._thread.join()
        if not self._baseline.taken:
            return
        with self._lock:
            try:
                self._ledger = self._ledger or self._opened()
                work(self._ledger)
                self._live = self._ledger.live()
            except Exception:
                log.warning("changed files could not be looked at", exc_info=True)

    def _opened(self) -> Ledger:
        from agent_runtime.changes.file_edit_events import FileEditReporter
        from agent_runtime.changes.ledger import Ledger  # not needed to start

        return Ledger(
            self._root, self._baseline, FileEditReporter(self._root, self._diff_dir, self._baseline.contents)
        )
