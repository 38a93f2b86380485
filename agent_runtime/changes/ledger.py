"""The tracker's books, kept by one thread at a time: what each path was, and what it is now."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent_runtime.changes.contents import read_content
from agent_runtime.changes.entries import NOWHERE, Change, Entry, unpack
from agent_runtime.git.objects import REGULAR, UNKNOWN
from agent_runtime.system.byte_paths import base, is_folder, located, parent, real, relative, under

if TYPE_CHECKING:
    from agent_runtime.changes.baseline import Baseline
    from agent_runtime.changes.file_edit_events import FileEditReporter, Source
    from agent_runtime.changes.tree import Suspects
    from agent_runtime.protocol.events import FileEditEvent


# An ignored file that a tool wrote without `expect`: it may have been there, so no patch can be made.
_UNSEEN = Entry(REGULAR, -1, 0, 0, 0, UNKNOWN, NOWHERE)
_LIVE_FOLDERS, _LIVE_NAMES = 32, 5000  # together: a few milliseconds for each time they are polled


class Ledger:
    """Finds changes and enters them.

    A path is bytes relative to the workspace, or absolute when it lies outside.

    Args:
        root: the workspace.
        baseline: taken.
        reporter: makes the events.
    """

    def __init__(self, root: bytes, baseline: Baseline, reporter: FileEditReporter) -> None:
        self._root = root
        self._real = real(root)
        self._baseline = baseline
        self._reporter = reporter
        self._first: dict[bytes, Entry | None] = {}  # what each path that ever changed was at the beginning
        self._extra: dict[bytes, Entry | None] = {}  # paths that tools wrote to outside of what is tracked
        self._expected: set[bytes] = set()  # paths that an edit tool is writing to just now
        self._deferred: Suspects = {}  # what a scan saw of those
        self._unlisted: set[bytes] = set()  # folders that appeared with a tool's file in them
        self._linked: set[int] = set()  # inodes found changed that have another name somewhere
        self._busy: dict[bytes, None] = {b"": None}  # folders that changes were found in, the latest last

    def scan(
        self, call_id: str | None, *, all_of_it: bool = False, live: frozenset[bytes] | None = None
    ) -> Iterator[FileEditEvent]:
        """Whatever changed since the last look.

        Args:
            call_id: the call that did it, where that is known.
            all_of_it: ask every file, not the kernel alone.
            live: where the kernel does not tell, look into these folders alone.
        """
        suspects, self._deferred = self._deferred, {}
        self._baseline.look(suspects, all_of_it=all_of_it, live=live)
        for folder in self._unlisted:
            self._baseline.tree.compare(suspects, folder)
        self._unlisted.clear()
        self._deferred = {path: suspects.pop(path) for path in self._expected & suspects.keys()}
        yield from self._tell(suspects, "shell", call_id, also=list(self._extra.keys() - self._expected))

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
        yield from self._tell(suspects, "tool", call_id, also=extra)

    def expect(self, paths: Sequence[Path]) -> set[bytes]:
        """Keep what an edit tool is about to write over."""
        keys = self._keys(paths)
        self._expected |= keys
        for path in keys:
            if path not in self._extra and self._is_extra(path):
                content = read_content(under(self._root, path))
                offset = self._baseline.contents.keep(content, binary=True) if content else 0
                self._extra[path] = content.entry(offset) if content else None
        return keys

    def release(self, keys: set[bytes]) -> None:
        """The edit is over; what it did not write, and was not tracked before, is not tracked now."""
        self._expected -= keys
        for path in keys & self._extra.keys() - self._first.keys():
            del self._extra[path]

    def finish(self, *, everything: bool) -> Iterator[FileEditEvent]:
        """The last scan, when no edit is under way any more."""
        self._expected.clear()
        return self.scan(None, all_of_it=everything)

    def collect(self) -> Iterable[FileEditEvent]:
        """Make room in the kernel's queue; tells nothing."""
        self._baseline.collect()
        return ()

    def live(self) -> frozenset[bytes]:
        """The folders in which something changed last: few, with few names in them."""
        folders, room = set(), _LIVE_NAMES
        for folder in reversed(self._busy):
            room -= len(self._baseline.tree.folders.get(folder, ()))
            if room >= 0:
                folders.add(folder)
        return frozenset(folders)

    def net(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(created or modified and still there, gone since the beginning), as events name them, sorted."""
        now = {path: self._now(path) for path in self._first}
        files = [path for path, entry in now.items() if entry and not entry.same(self._first[path])]
        gone = [path for path, entry in now.items() if not entry and self._first[path]]
        return tuple(sorted(map(self._reporter.text, files))), tuple(sorted(map(self._reporter.text, gone)))

    def _tell(
        self, suspects: Suspects, source: Source, call_id: str | None, also: Sequence[bytes]
    ) -> Iterator[FileEditEvent]:
        changes = [self._examine(path, unpack(old) if old else None) for path, old in suspects.items()]
        changes += [self._examine(path, self._extra[path]) for path in also]
        changes += self._other_names(suspects)
        found = [change for change in changes if change]
        for folder in {parent(change.path) for change in found}:
            self._busy.pop(folder, None)
            self._busy[folder] = None
        while len(self._busy) > _LIVE_FOLDERS:
            del self._busy[next(iter(self._busy))]
        yield from self._reporter.report(found, source, call_id)

    def _other_names(self, seen: Suspects) -> list[Change | None]:
        """A write through one of several hard links is reported of that name alone."""
        if not self._linked:
            return []
        named = self._baseline.tree.named(self._linked)
        found = [
            self._examine(path, unpack(packed))
            for path, packed in named
            if path not in seen and path not in self._expected
        ]
        self._linked.clear()
        return found

    def _examine(self, path: bytes, old: Entry | None) -> Change | None:
        """Read a suspect. What it is now is what it was from here on."""
        # a folder that gave way to a symlink takes its files with it, whatever the link leads to
        gone = path not in self._extra and parent(path) not in self._baseline.tree.folders
        content = None if gone else read_content(under(self._root, path))
        if content is None:
            if old is None:
                return None
            self._enter(path, None)
            self._first.setdefault(path, old)
            return Change(path, old, None)
        seen = content.entry(0)
        if content.oid == UNKNOWN and old and old.looks_like(seen):
            seen = seen._replace(oid=old.oid)  # it may not be read any more; its times say it is the same
        if old and seen.same(old):
            self._enter(path, seen._replace(offset=old.offset))
            return None
        if content.stat.st_nlink > 1:
            self._linked.add(seen.ino)
        seen = seen._replace(offset=self._baseline.contents.keep(content, binary=True))
        self._enter(path, seen)
        self._first.setdefault(path, old)
        return Change(path, old, seen)

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
