"""The change tracker: which files of the workspace changed, by whom, and the patch of each.

How it knows:
    `begin` looks at the whole tree once, in a thread, and keeps what no one else has: files that git's index vouches
    for are left to git, other text is copied into a nameless file (see `store`). After that the kernel says which
    names something happened to (`inotify`), and only those are read. Where it cannot say, because a limit is reached,
    its queue overflowed or a file system has no such thing, the whole tree is listed and compared instead; `finish`
    always does that, for what no kernel reports (writes through a memory map or another hard link).

What it promises:
    The patches, applied in the order of the events, lead from the tree at `begin` to the tree at the end. So events
    must be emitted in the order in which they were found: hold `turn()` over a call of `note`, `scan` or `finish`
    and the emitting of what it returned.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_runtime.events import FileEdit
from agent_runtime.tracking.baseline import Baseline
from agent_runtime.tracking.contents import read_content
from agent_runtime.tracking.entries import UNKNOWN, Change, Entry, unpack
from agent_runtime.tracking.paths import located, parent, real, relative, under
from agent_runtime.tracking.tree import Suspects

if TYPE_CHECKING:
    import anyio

    from agent_runtime.tracking.reporting import Reporter, Source

log = logging.getLogger(__name__)

_BEGIN_WAIT = 0.05  # seconds that `begin` waits for its thread
_SETTLE = 0.2  # seconds of writes that `watch` takes for one
_SETTLE_MOST = 5.0  # the same, for a file that is written on and on
_POLL = 2.0  # seconds between looks where the kernel does not tell, or twenty times as long as a look takes


@dataclass(frozen=True)
class Net:
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
        self._real = real(self._root)
        self._baseline = Baseline(
            self._root,
            diff_dir.parent,
            exclude=[os.fsencode(path) for path in (diff_dir, *exclude)],
            everything=track_ignored,
        )
        self._diff_dir = diff_dir
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()  # over all that follows
        self._first: dict[bytes, Entry | None] = {}  # what each path that ever changed was at the beginning
        self._extra: dict[bytes, Entry | None] = {}  # paths that tools wrote to outside of what is tracked
        self._expected: set[bytes] = set()  # paths that an edit tool is writing to just now
        self._deferred: Suspects = {}  # what a scan saw of those
        self._unlisted: set[bytes] = set()  # folders that appeared with a tool's file in them
        self._orphans: list[FileEdit] = []  # found for a caller that was cancelled
        self._reporter: Reporter | None = None
        self._turn: anyio.Lock | None = None
        self._held = 0
        self._used = False

    def begin(self) -> None:
        """Start to look; returns when done, or after a twentieth of a second. The rest is awaited by `ready`."""
        self._thread = threading.Thread(target=self._baseline.take, name="baseline", daemon=True)
        self._thread.start()
        self._thread.join(_BEGIN_WAIT)

    async def ready(self) -> None:
        """Await this before the first tool that may change files: until then not all old contents are kept."""
        if not self._used or (self._thread and self._thread.is_alive()):
            self._used = True
            await self._in_thread(lambda: ())

    async def expect(self, paths: Sequence[Path]) -> None:
        """Paths that an edit tool is about to write; `note` follows, also when the write failed.

        Keeps what they hold where the baseline has nothing: outside of the workspace, and in ignored places. Until
        `note`, a scan that runs beside leaves these paths alone.
        """
        await self._in_thread(lambda: self._expect(paths))

    async def note(self, paths: Sequence[Path], *, call_id: str) -> list[FileEdit]:
        """What an edit tool has just written, deleted or moved; right after it, with the path still locked."""
        return await self._in_thread(lambda: self._note(paths, call_id))

    async def scan(self, *, call_id: str | None) -> list[FileEdit]:
        """What changed since the last look, by shell commands. `call_id` when only that one was running."""
        return await self._in_thread(lambda: self._scan(call_id))

    async def finish(self) -> list[FileEdit]:
        """A last look at everything; at nothing when no tool was ever run."""
        return await self._in_thread(lambda: self._scan(None, all_of_it=True)) if self._used else []

    async def watch(self, emit: Callable[[FileEdit], Awaitable[None]]) -> None:
        """Reports what is written between calls, until cancelled; while `hold` is held it leaves that to `scan`."""
        import anyio
        import anyio.to_thread

        if self._thread:
            await anyio.to_thread.run_sync(self._thread.join, abandon_on_cancel=True)
        pause, took, told = _SETTLE, 0.0, 0.0
        while self._baseline.taken:
            watcher = self._baseline.watcher
            if watcher is None:
                await anyio.sleep(max(_POLL, 20 * took))
            else:
                await anyio.wait_readable(watcher.fd)
                await anyio.sleep(pause)
            async with self.turn():
                began = time.monotonic()
                found = await self._in_thread(self._collect if self._held else lambda: self._scan(None))
                took = time.monotonic() - began
                for event in found:
                    await emit(event)
                if found:
                    pause = min(2 * pause, _SETTLE_MOST) if began - told < 2 * _SETTLE_MOST else _SETTLE
                    told = time.monotonic()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Held while a tool runs that may change files: what it does is told by the `scan` after it, with its id."""
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

    def net(self) -> Net:
        """The effect of the run so far, from what was found."""
        reporter = self._reporter
        if reporter is None:
            return Net()
        with self._lock:
            now = {path: self._now(path) for path in self._first}
            ignored = self._baseline.tree.ignored.summary()
        files = [path for path, entry in now.items() if entry and not entry.same(self._first[path])]
        gone = [path for path, entry in now.items() if not entry and self._first[path]]
        return Net(tuple(sorted(map(reporter.text, files))), tuple(sorted(map(reporter.text, gone))), ignored)

    async def _in_thread(self, work: Callable[[], Iterable[FileEdit]]) -> list[FileEdit]:
        from anyio import to_thread

        self._used = True
        found: list[FileEdit] = []
        try:
            await to_thread.run_sync(self._locked, work, found)
        except BaseException:  # cancelled: what was found is not found again, so the next one tells it
            self._orphans += found
            raise
        orphans, self._orphans = self._orphans, []
        return orphans + found

    def _locked(self, work: Callable[[], Iterable[FileEdit]], found: list[FileEdit]) -> None:
        from agent_runtime.tracking.reporting import Reporter  # not needed to start

        if self._thread:
            self._thread.join()
        if not self._baseline.taken:
            return
        with self._lock:
            try:
                self._reporter = self._reporter or Reporter(
                    self._root, self._diff_dir, self._baseline.contents
                )
                found.extend(work())
            except Exception:
                log.warning("changed files could not be looked at", exc_info=True)

    def _scan(self, call_id: str | None, *, all_of_it: bool = False) -> Iterator[FileEdit]:
        suspects, self._deferred = self._deferred, {}
        self._baseline.look(suspects, all_of_it=all_of_it)
        for folder in self._unlisted:
            self._baseline.tree.compare(suspects, folder)
        self._unlisted.clear()
        if not all_of_it:
            self._deferred = {path: suspects.pop(path) for path in self._expected & suspects.keys()}
        yield from self._tell(suspects, "shell", call_id, also=list(self._extra))

    def _collect(self) -> Iterable[FileEdit]:
        self._baseline.collect()
        return ()

    def _note(self, paths: Sequence[Path], call_id: str) -> Iterator[FileEdit]:
        tree = self._baseline.tree
        suspects: Suspects = {}
        extra: list[bytes] = []
        for path in sorted(self._keys(paths)):  # a file that became a folder before what is in it
            if self._is_extra(path):
                extra.append(path)
                self._extra.setdefault(path, None)
            else:
                suspects[path] = self._deferred.pop(path, None) or tree.get(path)
                if tree.adopt(parent(path)):
                    self._unlisted.add(parent(path))
            self._expected.discard(path)
        yield from self._tell(suspects, "tool", call_id, also=extra)

    def _tell(
        self, suspects: Suspects, source: Source, call_id: str | None, also: Sequence[bytes]
    ) -> Iterator[FileEdit]:
        assert self._reporter
        changes = [self._examine(path, unpack(old) if old else None) for path, old in suspects.items()]
        changes += [self._examine(path, self._extra[path]) for path in also]
        yield from self._reporter.report([change for change in changes if change], source, call_id)

    def _examine(self, path: bytes, old: Entry | None) -> Change | None:
        """Read a suspect; what it is now is what it was from here on."""
        content = read_content(under(self._root, path))
        if content is None:
            if old is None:
                return None
            self._put(path, None)
            self._first.setdefault(path, old)
            return Change(path, old, None)
        seen = content.entry(0)
        if (
            content.oid == UNKNOWN
            and old
            and (old.mode, old.size, old.mtime) == (seen.mode, seen.size, seen.mtime)
        ):
            seen = seen._replace(oid=old.oid)  # it may not be read any more; its times say it is the same
        if old and seen.same(old):
            self._put(path, seen._replace(offset=old.offset))
            return None
        seen = seen._replace(offset=self._baseline.contents.keep(content, binary=True))
        self._put(path, seen)
        self._first.setdefault(path, old)
        return Change(path, old, seen)

    def _put(self, path: bytes, entry: Entry | None) -> None:
        if path in self._extra:
            self._extra[path] = entry
            return
        self._baseline.tree.recalled.add(path)
        self._baseline.tree.put(path, entry.pack() if entry else None)

    def _now(self, path: bytes) -> Entry | None:
        if path in self._extra:
            return self._extra[path]
        packed = self._baseline.tree.get(path)
        return unpack(packed) if packed else None

    def _expect(self, paths: Sequence[Path]) -> Iterable[FileEdit]:
        keys = self._keys(paths)
        self._expected |= keys
        for path in keys:
            if path not in self._extra and self._is_extra(path):
                content = read_content(under(self._root, path))
                offset = self._baseline.contents.keep(content, binary=True) if content else 0
                self._extra[path] = content.entry(offset) if content else None
        return ()

    def _keys(self, paths: Sequence[Path]) -> set[bytes]:
        """Relative to the workspace, or absolute when outside; a symlink stands for what it points to as well."""
        keys: set[bytes] = set()
        for path in paths:
            own = located(self._root, os.fsencode(path))
            for full in (own, real(own)):
                keys.add(relative(self._real, full))
        return keys

    def _is_extra(self, path: bytes) -> bool:
        return path in self._extra or path.startswith(b"/") or not self._baseline.tree.covers(path)
