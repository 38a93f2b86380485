"""Finds out which suspects have changed, and remembers what each path is now. Used by one thread at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from agent_runtime.changes.busy_folders import BusyFolders
from agent_runtime.changes.deadline import Deadline
from agent_runtime.changes.degradation import Degradation
from agent_runtime.changes.entries import Change
from agent_runtime.changes.file_edit_events import FileEditReporter, Source
from agent_runtime.changes.net_changes import NetChanges
from agent_runtime.changes.records import Records
from agent_runtime.changes.tracked_files import TrackedFiles
from agent_runtime.changes.tree_walk import Suspects
from agent_runtime.protocol.events import FileEditEvent
from agent_runtime.system.byte_paths import base, is_folder, located, parent, real, relative, under

_MANY = 5000  # suspects


class Ledger:
    """Finds changes and records them.

    A path is bytes relative to the workspace, or absolute when it is outside. Work that the deadline interrupts is
    continued by the next look, and completed without contents by `settle`.

    Args:
        root: the workspace.
        files: the tracked files.
        reporter: makes the events.
        deadline: when to stop examining and reporting.
        degradation: records what cannot be done.
    """

    def __init__(
        self,
        root: bytes,
        files: TrackedFiles,
        reporter: FileEditReporter,
        deadline: Deadline,
        degradation: Degradation,
    ) -> None:
        self._root = root
        self._real = real(root)
        self._files = files
        self._tree = files.tree
        self._reporter = reporter
        self._deadline = deadline
        self._degradation = degradation
        self._records = Records(root, files, deadline, degradation)
        self._busy = BusyFolders(files.tree)
        self._expected: set[bytes] = set()  # paths that an edit tool is writing to now
        self._deferred: Suspects = {}  # suspects that are still to be examined
        self._unlisted: set[bytes] = set()  # folders that appeared with a tool's file in them

    def scan(
        self, call_id: str | None, *, all_of_it: bool = False, live: frozenset[bytes] | None = None
    ) -> Iterator[FileEditEvent]:
        """Return whatever changed since the last look.

        Args:
            call_id: the call that did it, where that is known.
            all_of_it: compare every file, whatever inotify reported.
            live: without inotify, look into these folders alone.
        """
        suspects, self._deferred = self._deferred, {}
        self._files.look(suspects, all_of_it=all_of_it, live=live)
        for folder in self._unlisted:
            self._files.walk.compare(suspects, folder)
        self._unlisted.clear()
        self._deferred = {path: suspects.pop(path) for path in self._expected & suspects.keys()}
        if len(suspects) > _MANY and self._deadline.is_short:
            # making some of these many diffs would take the time that naming all of them needs
            self._deferred |= suspects
            suspects = {}
        yield from self._report(
            suspects, "shell", call_id, also=list(self._records.extra.keys() - self._expected)
        )

    @property
    def is_quiet(self) -> bool:
        """Whether `scan` would certainly find nothing; see TrackedFiles.is_quiet."""
        is_waiting = self._deferred or self._unlisted or self._records.extra or self._records.linked
        return not is_waiting and self._files.is_quiet

    def note(self, paths: Sequence[Path], call_id: str) -> Iterator[FileEditEvent]:
        """Return the changes of exactly these paths, after an edit tool has written them."""
        suspects: Suspects = {}
        extra: list[bytes] = []
        for path in sorted(self._keys(paths)):  # a file that became a folder before what is in it
            if self._records.is_extra(path):
                extra.append(path)
                self._records.add_extra(path)
            else:
                suspects[path] = self._deferred.pop(path, None) or self._tree.get(path)
                if missing := self._tree.untracked_folders(parent(path)):
                    self._tree.track_folders(missing)
                    self._unlisted.add(parent(path))
                if path and (path in self._tree.folders or is_folder(under(self._root, path))):
                    # a whole folder was created, moved or deleted
                    self._files.walk.visit(parent(path), base(path), suspects)
        yield from self._report(suspects, "tool", call_id, also=extra)

    def expect(self, paths: Sequence[Path]) -> set[bytes]:
        """Keep what an edit tool is about to overwrite."""
        keys = self._keys(paths)
        self._expected |= keys
        for path in keys:
            if path not in self._records.extra and self._records.is_extra(path):
                self._records.keep_extra(path)
        return keys

    def release(self, keys: set[bytes]) -> None:
        """Note that the edit is over: what it did not write, and was not tracked before, is not tracked now."""
        self._expected -= keys
        self._records.drop_unchanged_extras(keys)

    def look_ahead(self) -> Iterable[FileEditEvent]:
        """While a call is running: empty the kernel's queue, and note the suspects. Reports nothing."""
        self._files.look_ahead(self._deferred)
        return ()

    def finish(self, *, everything: bool, settle_seconds: float) -> Iterator[FileEditEvent]:
        """The last scan, when no edit is in progress any more.

        Args:
            everything: compare every file.
            settle_seconds: how long to go on without contents, where there was no time to read all files.
        """
        self._expected.clear()
        yield from self.scan(None, all_of_it=everything)
        if self._deferred or self._deadline.passed:
            self._deadline.restart(settle_seconds)
            self.settle()

    def settle(self) -> None:
        """Find the changes that the deadline left by the stat of the files, until it has passed again.

        Their events are those of `without_diffs`.
        """
        suspects, self._deferred = self._deferred, {}
        self._files.look(suspects, all_of_it=False, live=self.live())
        for path, old in suspects.items():
            if self._deadline.passed:
                self._deferred[path] = old
                continue
            with self._degradation.skipping(path):
                if action := self._records.examine_stat(path, old):
                    self._reporter.name(path, action)

    def without_diffs(self) -> Iterator[FileEditEvent]:
        """Yield an event without a diff for each change that the deadline left."""
        return self._reporter.without_diffs()

    @property
    def unreported(self) -> int:
        """The number of changes without an event."""
        return self._reporter.waiting

    @property
    def unexamined(self) -> dict[str, int]:
        """The numbers of suspects and of folders that the last look had no time for; empty without any."""
        files, folders = len(self._deferred) + self._files.unvisited, self._files.walk.unlisted
        return {"files": files, "folders": folders} if files or folders else {}

    def live(self) -> frozenset[bytes]:
        """The folders in which something changed last: few, with few names in them."""
        return self._busy.latest()

    def net(self) -> NetChanges:
        """Return the effect of the run so far. Suspects that are not examined yet are taken to have changed."""
        files, gone = self._records.differing()
        files += [path for path in self._deferred if not self._records.has_changed(path)]
        return NetChanges(self._texts(files), self._texts(gone), self._tree.ignored.summary())

    def _texts(self, paths: Iterable[bytes]) -> tuple[str, ...]:
        return tuple(sorted(map(self._reporter.text, paths)))

    def _report(
        self, suspects: Suspects, source: Source, call_id: str | None, also: Sequence[bytes]
    ) -> Iterator[FileEditEvent]:
        found: list[Change] = []
        for path, old in suspects.items():
            if self._deadline.passed:
                self._deferred[path] = old
            elif change := self._records.examine(path, old):
                found.append(change)
        found += filter(None, [self._records.examine(path, self._records.extra[path]) for path in also])
        if not self._deadline.passed:
            found += self._other_names(suspects)
        self._busy.add({parent(change.path) for change in found})
        yield from self._reporter.report(found, source, call_id)

    def _other_names(self, seen: Suspects) -> list[Change]:
        """A write through one of several hard links is reported for that name alone by the kernel."""
        if not self._records.linked:
            return []
        named = self._tree.named(self._records.linked)
        found = [
            self._records.examine(path, packed)
            for path, packed in named
            if path not in seen and path not in self._expected
        ]
        self._records.linked.clear()
        return [change for change in found if change]

    def _keys(self, paths: Sequence[Path]) -> set[bytes]:
        """The keys of these paths; for a symlink also that of its target."""
        keys: set[bytes] = set()
        for path in paths:
            own = located(self._root, os.fsencode(path))
            keys |= {relative(self._real, own), relative(self._real, real(own))}
        return keys
