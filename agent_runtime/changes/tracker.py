"""The change tracker: which files of the workspace changed, by which call, and the diff of each.

How a changed file becomes one `file_edit` event:
    1. `baseline` lists the tree at the beginning, and keeps the texts that are kept nowhere else: what git's index
       says is unchanged is left to git, the rest is copied into a file without a name (`content_store`).
    2. inotify reports the names that something happened to (`system.inotify`). `tracked_files` takes them from its
       queue, and `tree_walk` visits them: a name that is tracked (`scope`) becomes a suspect.
    3. `ledger` takes the suspects, `records` reads each file and compares it with what it was: a `Change`.
    4. `renames` pairs deletions with creations, and orders the changes so that their diffs apply one after the other.
    5. `file_diffs` makes the diff of each, `file_edit_events` the event.

    Where inotify cannot be used, because a limit is reached, its queue overflowed or a file system does not support it,
    step 2 lists the whole tree, and between two such walks the folders that the run works in (`busy_folders`). `finish`
    always compares everything, for what inotify does not report: writes through a memory map or another hard link.

What it guarantees:
    The diffs, applied in the order of the events, lead from the tree at `begin` to the tree at the end. So events
    must be emitted in the order in which they were found: hold `turn()` while `note`, `scan` or `finish` is called and
    its events are emitted.

What it costs, and where it stops:
    The cost of a look depends on what has changed, not on the size of the tree. A run that is stopped has no time for
    many diffs: `finish` makes those that it can, `last_events` has the events of further files, and `net` names all of
    them. `notices` reports what could not be done, each kind of limit once (`degradation`). If a file cannot be
    handled, only that file is left out.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from agent_runtime.changes.baseline import take_baseline
from agent_runtime.changes.deadline import Deadline
from agent_runtime.changes.degradation import Degradation
from agent_runtime.changes.ledger_thread import HURRY, LedgerThread
from agent_runtime.changes.net_changes import NetChanges
from agent_runtime.protocol.events import FileEditEvent, NoticeEvent

if TYPE_CHECKING:
    import anyio

    from agent_runtime.changes.ledger import Ledger
    from agent_runtime.changes.polling import PolledFolders
    from agent_runtime.changes.tracked_files import TrackedFiles

_COLLECT = 0.05  # seconds between two looks while a call runs: the kernel's queue holds 16,384 events
_SETTLE = 0.2  # seconds of writes that `watch` reports as one change
_SETTLE_MOST = 5.0  # the same, for a file that is written continuously
_FINISH = 15.0  # seconds for the last look of a run that was not stopped
_BY_STAT = 0.35  # seconds after a last look that was too short, in which changes are found by stat alone
_NET_WAIT = 0.4  # seconds that `net` waits for a thread that still works
_NET = 0.4  # seconds that `net` may take
_POLL = 2.0  # seconds between walks without inotify, at least; otherwise 20 times the duration of a walk


class ChangeTracker:
    """See the module. Failures to track are reported by notices and logged; they never fail a run.

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
        take = partial(
            take_baseline,
            self._root,
            diff_dir.parent,
            exclude=[os.fsencode(path) for path in (diff_dir, *exclude)],
            everything=track_ignored,
            deadline=self._deadline,
            degradation=self._degradation,
        )
        self._thread = LedgerThread(take, self._open_ledger, self._deadline, self._degradation)
        self._held = 0

    @property
    def files(self) -> TrackedFiles | None:
        """The files as they were last seen; None before the first look is done, and when it failed."""
        return self._thread.files

    @cached_property
    def _turn(self) -> anyio.Lock:
        from anyio import Lock

        return Lock(fast_acquire=True)

    def begin(self) -> None:
        """Start the first look; returns when it is done, or after 50 ms. `ready` awaits the rest."""
        self._thread.begin()

    async def ready(self) -> None:
        """Await this before the first tool that may change files: only then all old contents are kept."""
        await self._thread.ready()
        if not self._thread.used:
            await self._thread.run(lambda ledger: None)

    async def expect(self, paths: Sequence[Path]) -> set[bytes]:
        """Prepare for an edit tool that is about to write these paths. Returns what to pass to `release` after that.

        Keeps their contents where the baseline does not: outside of the workspace, and in ignored places. Until the
        release, scans leave these paths out.
        """
        expected: set[bytes] = set()
        await self._thread.run(lambda ledger: expected.update(ledger.expect(paths)))
        return expected

    async def release(self, expected: set[bytes]) -> None:
        """Note that the edit is over: from here on a change of these paths is not the edit tool's."""
        await self._thread.run(lambda ledger: ledger.release(expected))

    async def note(self, paths: Sequence[Path], *, call_id: str) -> list[FileEditEvent]:
        """Return what an edit tool has just written, deleted or moved; call it while the paths are still locked."""
        return await self._thread.look(lambda ledger: ledger.note(paths, call_id))

    async def scan(self, *, call_id: str | None) -> list[FileEditEvent]:
        """Return what shell commands changed since the last look. `call_id` if no other call was running."""
        if self._thread.is_quiet():
            return []
        return await self._thread.look(lambda ledger: ledger.scan(call_id))

    async def finish(self, *, hurried: bool = False) -> list[FileEditEvent]:
        """Take a last look: at everything, or, if `hurried`, at what inotify reported; none if no tool ever ran.

        It is bounded in time. Without inotify, a hurried look is at everything too, unless that is known to take too
        long.
        """
        files = self._thread.files
        if not self._thread.used or files is None:
            return []
        everything = not hurried or (files.watcher is None and files.walk_seconds < HURRY)
        seconds = HURRY if hurried else _FINISH
        try:
            return await self._thread.look(
                lambda ledger: ledger.finish(everything=everything, settle_seconds=_BY_STAT), seconds
            )
        except BaseException:
            self._degradation.note("time")
            raise

    def last_events(self, found: Sequence[FileEditEvent]) -> Generator[FileEditEvent, None, None]:
        """Yield what `finish` found, and then an event without a diff for each change that it had no time for.

        Events that were not taken when the iterator is closed are reported by a notice; `net` has their files.
        """
        yielded = 0
        with self._thread.here(wait=0, seconds=math.inf) as ledger:
            late = ledger.unreported if ledger else 0
            try:
                for event in chain(found, ledger.without_diffs() if ledger else ()):
                    yielded += 1
                    yield event
            finally:
                missing = len(found) + late - yielded
                if late or missing:
                    details = {"withoutDiff": max(0, yielded - len(found)), "withoutEvent": missing}
                    self._degradation.note("time", details=details)

    def hurry(self) -> None:
        """Bound every look from now on, also the present one, which the next continues: the run is being stopped."""
        self._thread.hurry()

    def notices(self) -> list[NoticeEvent]:
        """Return what could not be tracked, each kind once."""
        return self._degradation.take()

    async def watch(self, emit: Callable[..., Awaitable[None]]) -> None:
        """Emit what is written between calls, until cancelled. While `hold` is held, that is left to `scan`."""
        import anyio

        from agent_runtime.changes.polling import PolledFolders

        await self._thread.ready()
        pause, reported = _SETTLE, 0.0
        with closing(PolledFolders(self._root)) as folders:
            while (files := self._thread.files) is not None:
                live = await self._activity(files, folders)
                await anyio.sleep(_COLLECT if self._held else pause)
                async with self.turn():
                    began = time.monotonic()
                    found = await self._thread.look(partial(self._between_calls, live=live))
                    with anyio.CancelScope(shield=True):  # what was found is not found again
                        for event in [*found, *self.notices()]:
                            await emit(event)
                    if found:  # a file that is written continuously is reported less and less often
                        pause = (
                            min(2 * pause, _SETTLE_MOST) if began - reported < 2 * _SETTLE_MOST else _SETTLE
                        )
                        reported = time.monotonic()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Held while a tool runs that may change files; the `scan` after it reports its changes."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Held by one task at a time, which looks for changes and emits them. Not reentrant."""
        async with self._turn:
            yield

    def net(self) -> NetChanges:
        """Return the effect of the run so far. Files that are still to be examined are compared by their stat."""
        with self._thread.here(wait=_NET_WAIT, seconds=_NET) as ledger:
            if ledger is None:
                return NetChanges()
            ledger.settle()
            if left := ledger.unexamined:
                self._degradation.note("unexamined", details=left)
            return ledger.net()

    async def _activity(self, files: TrackedFiles, folders: PolledFolders) -> frozenset[bytes] | None:
        """Wait until there may be something to find, in these folders (None: anywhere)."""
        import anyio

        if watcher := files.watcher:
            await anyio.wait_readable(watcher.fd)
            return None
        left = files.walked + max(_POLL, 20 * files.walk_seconds) - time.monotonic()
        live = self._thread.live
        return live if await folders.wait(live, left) else None

    def _between_calls(self, ledger: Ledger, live: frozenset[bytes] | None) -> Iterable[FileEditEvent]:
        return ledger.look_ahead() if self._held else ledger.scan(None, live=live)

    def _open_ledger(self, files: TrackedFiles) -> Ledger:
        from agent_runtime.changes.file_diffs import FileDiffs
        from agent_runtime.changes.file_edit_events import FileEditReporter
        from agent_runtime.changes.ledger import Ledger  # not needed to start

        shared = (files.contents, self._deadline, self._degradation)
        diffs = FileDiffs(self._root, self._diff_dir, *shared)
        reporter = FileEditReporter(self._root, diffs, *shared)
        return Ledger(self._root, files, reporter, self._deadline, self._degradation)
