"""The tracker's records, kept by one thread at a time: what each path was, and what it is now."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent_runtime.changes.contents import read_content, stat_content
from agent_runtime.changes.entries import NOWHERE, Change, Entry, unpack
from agent_runtime.changes.tree import LATE, UNSEEN
from agent_runtime.git.objects import REGULAR, UNKNOWN
from agent_runtime.system.byte_paths import base, is_folder, located, parent, real, relative, under

if TYPE_CHECKING:
    from agent_runtime.changes.baseline import Baseline
    from agent_runtime.changes.deadline import Deadline
    from agent_runtime.changes.degradation import Degradation
    from agent_runtime.changes.file_edit_events import FileEditReporter, Source
    from agent_runtime.changes.tree import Suspects
    from agent_runtime.protocol.events import FileEditEvent

# A file that existed before it was tracked and has changed since: no diff can be made.
_UNSEEN = Entry(REGULAR, -1, 0, 0, 0, UNKNOWN, NOWHERE)
_LIVE_FOLDERS, _LIVE_NAMES = 32, 5000  # together a few milliseconds each time they are polled


class Ledger:
    """Finds changes and records them.

    A path is bytes relative to the workspace, or absolute when it is outside. Work that the deadline interrupts is
    continued by the next look, and completed without contents by `settle`.

    Args:
        root: the workspace.
        baseline: taken.
        reporter: makes the events.
        deadline: when to stop examining and reporting.
        degradation: records what cannot be done.
    """

    def __init__(
        self,
        root: bytes,
        baseline: Baseline,
        reporter: FileEditReporter,
        deadline: Deadline,
        degradation: Degradation,
    ) -> None:
        self._root = root
        self._real = real(root)
        self._baseline = baseline
        self._reporter = reporter
        self._deadline = deadline
        self._degradation = degradation
        self._first: dict[bytes, Entry | None] = {}  # what each path that ever changed was at the beginning
        self._extra: dict[bytes, Entry | None] = {}  # paths that tools wrote to outside of what is tracked
        self._expected: set[bytes] = set()  # paths that an edit tool is writing to now
        self._deferred: Suspects = {}  # suspects that are still to be examined
        self._unlisted: set[bytes] = set()  # folders that appeared with a tool's file in them
        self._linked: set[int] = set()  # changed inodes with more than one name
        self._busy: dict[bytes, None] = {b"": None}  # folders in which changes were found, the latest last

    def scan(
        self, call_id: str | None, *, all_of_it: bool = False, live: frozenset[bytes] | None = None
    ) -> Iterator[FileEditEvent]:
        """Whatever changed since the last look.

        Args:
            call_id: the call that did it, where that is known.
            all_of_it: compare every file, whatever inotify reported.
            live: without inotify, look into these folders alone.
        """
        suspects, self._deferred = self._deferred, {}
        self._baseline.look(suspects, all_of_it=all_of_it, live=live)
        for folder in self._unlisted:
            self._baseline.tree.compare(suspects, folder)
        self._unlisted.clear()
        self._deferred = {path: suspects.pop(path) for path in self._expected & suspects.keys()}
        yield from self._report(suspects, "shell", call_id, also=list(self._extra.keys() - self._expected))

    def note(self, paths: Sequence[Path], call_id: str) -> Iterator[FileEditEvent]:
        """Exactly these paths, as an edit tool left them."""
        tree = self._baseline.tree
        suspects: Suspects = {}
        extra: list[bytes] = []
        for path in sorted(self._keys(paths)):  # a file that became a folder before what is in it
            if self._is_extra(path):
                extra.append(path)
                self._extra.setdefault(path, None if path.startswith(b"/") else _UNSEEN)
            else:
                suspects[path] = self._deferred.pop(path, None) or tree.get(path)
                if tree.adopt(parent(path)):
                    self._unlisted.add(parent(path))
                if path and (path in tree.folders or is_folder(under(self._root, path))):
                    tree.visit(parent(path), base(path), suspects)  # a whole folder, made, moved or gone
        yield from self._report(suspects, "tool", call_id, also=extra)

    def expect(self, paths: Sequence[Path]) -> set[bytes]:
        """Keep what an edit tool is about to overwrite."""
        keys = self._keys(paths)
        self._expected |= keys
        for path in keys:
            if path not in self._extra and self._is_extra(path):
                content = read_content(under(self._root, path))
                offset = self._baseline.contents.keep(content) if content else 0
                self._extra[path] = content.entry(offset) if content else None
        return keys

    def release(self, keys: set[bytes]) -> None:
        """The edit is over; what it did not write, and was not tracked before, is not tracked now."""
        self._expected -= keys
        for path in keys & self._extra.keys() - self._first.keys():
            del self._extra[path]

    def finish(self, *, everything: bool) -> Iterator[FileEditEvent]:
        """The last scan, when no edit is in progress any more."""
        self._expected.clear()
        yield from self.scan(None, all_of_it=everything)
        self.settle()
        yield from self._reporter.name_waiting()

    def settle(self) -> None:
        """Record the suspects that the deadline left, by their stat alone."""
        suspects, self._deferred = self._deferred, {}
        changes = [self._examined(path, old, by_stat=True) for path, old in suspects.items()]
        self._reporter.defer([change for change in changes if change])

    def collect(self) -> Iterable[FileEditEvent]:
        """Empty the kernel's queue; reports nothing."""
        self._baseline.collect()
        return ()

    def live(self) -> frozenset[bytes]:
        """The folders in which something changed last: few, with few names in them."""
        folders, remaining = set(), _LIVE_NAMES
        for folder in reversed(self._busy):
            remaining -= len(self._baseline.tree.folders.get(folder, ()))
            if remaining >= 0:
                folders.add(folder)
        return frozenset(folders)

    def net(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(created or modified and still there, gone since the beginning), as events name them, sorted."""
        now = {path: self._now(path) for path in self._first}
        files = [path for path, entry in now.items() if entry and not entry.same(self._first[path])]
        gone = [path for path, entry in now.items() if not entry and self._first[path]]
        return tuple(sorted(map(self._reporter.text, files))), tuple(sorted(map(self._reporter.text, gone)))

    def _report(
        self, suspects: Suspects, source: Source, call_id: str | None, also: Sequence[bytes]
    ) -> Iterator[FileEditEvent]:
        found: list[Change] = []
        for path, old in suspects.items():
            if self._deadline.passed:
                self._deferred[path] = old
            elif change := self._examined(path, old):
                found.append(change)
        found += filter(None, [self._examined(path, self._extra[path]) for path in also])
        if not self._deadline.passed:
            found += self._other_names(suspects)
        for folder in {parent(change.path) for change in found}:
            self._busy.pop(folder, None)
            self._busy[folder] = None
        while len(self._busy) > _LIVE_FOLDERS:
            del self._busy[next(iter(self._busy))]
        yield from self._reporter.report(found, source, call_id)

    def _other_names(self, seen: Suspects) -> list[Change]:
        """A write through one of several hard links is reported for that name alone by the kernel."""
        if not self._linked:
            return []
        named = self._baseline.tree.named(self._linked)
        found = [
            self._examined(path, packed)
            for path, packed in named
            if path not in seen and path not in self._expected
        ]
        self._linked.clear()
        return [change for change in found if change]

    def _examined(self, path: bytes, old: bytes | Entry | None, *, by_stat: bool = False) -> Change | None:
        try:
            if old in (LATE, UNSEEN):
                return self._begin_to_track(path, None if old == LATE else _UNSEEN)
            return self._examine(path, unpack(old) if isinstance(old, bytes) else old, by_stat=by_stat)
        except Exception as error:  # this file is lost to the run; the others are not
            self._degradation.note("failed", path, error)
            return None

    def _examine(self, path: bytes, old: Entry | None, *, by_stat: bool = False) -> Change | None:
        """Read a suspect. What it is now is what it was from here on."""
        # a folder that gave way to a symlink takes its files with it, whatever the link leads to
        gone = path not in self._extra and parent(path) not in self._baseline.tree.folders
        full = under(self._root, path)
        content = None
        if not gone:
            content = stat_content(full) if by_stat else read_content(full, deadline=self._deadline)
        if content is None:
            if old is None:
                return None
            self._enter(path, None)
            self._first.setdefault(path, old)
            return Change(path, old, None)
        seen = content.entry(0)
        if content.oid == UNKNOWN and old and old.looks_like(seen):
            seen = seen._replace(oid=old.oid)  # it cannot be read any more; its times say it is the same
        if old and seen.same(old):
            self._enter(path, seen._replace(offset=old.offset))
            return None
        if content.stat.st_nlink > 1:
            self._linked.add(seen.ino)
        seen = seen._replace(offset=self._baseline.contents.keep(content, binary=True))
        if self._baseline.contents.full:
            self._degradation.note("old_content", path)
        self._enter(path, seen)
        self._first.setdefault(path, old)
        return Change(path, old, seen)

    def _begin_to_track(self, path: bytes, before: Entry | None) -> Change | None:
        """A file that was not tracked until now. `before` is what it was if it has changed since the run began."""
        content = read_content(under(self._root, path), deadline=self._deadline)
        if content is None:
            return None
        if content.stat.st_ctime_ns >= self._baseline.started:
            return self._examine(path, before)
        self._enter(path, content.entry(self._baseline.contents.keep(content)))
        return None

    def _enter(self, path: bytes, entry: Entry | None) -> None:
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

    def _keys(self, paths: Sequence[Path]) -> set[bytes]:
        """A symlink stands for what it points to as well."""
        keys: set[bytes] = set()
        for path in paths:
            own = located(self._root, os.fsencode(path))
            keys |= {relative(self._real, own), relative(self._real, real(own))}
        return keys

    def _is_extra(self, path: bytes) -> bool:
        return path in self._extra or path.startswith(b"/") or not self._baseline.tree.covers(path)
