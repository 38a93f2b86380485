"""The tracked files as they were last seen, and the looks that find which of them may have changed."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from agent_runtime.changes.contents import Contents
from agent_runtime.changes.deadline import Deadline
from agent_runtime.changes.indexes import Indexes
from agent_runtime.changes.late_files import LateFiles
from agent_runtime.changes.tree import Tree
from agent_runtime.changes.tree_walk import Suspects, TreeWalk
from agent_runtime.system.byte_paths import base, is_readable, join, under
from agent_runtime.system.inotify import Inotify, Noticed

log = logging.getLogger(__name__)

_IGNORE_FILE = b".gitignore"


class TrackedFiles:
    """Made by `baseline.take_baseline`.

    Args:
        tree: the files.
        walk: lists their folders.
        contents: where old contents are kept.
        indexes: what git tracks.
        deadline: when a look stops; what is left is found by the next one.
        everything: whether ignored files are tracked too.
        started: when the first look began, ns since the epoch.
        walk_seconds: how long the first look took.

    Attributes:
        walked: when the latest look at everything ended, by the monotonic clock.
        walk_seconds: how long that took.
    """

    def __init__(
        self,
        tree: Tree,
        walk: TreeWalk,
        contents: Contents,
        indexes: Indexes,
        deadline: Deadline,
        *,
        everything: bool,
        started: int,
        walk_seconds: float,
    ) -> None:
        self.tree, self.walk, self.contents = tree, walk, contents
        self._indexes = indexes
        self._late = LateFiles(tree, walk)
        self._deadline = deadline
        self._everything = everything
        self._noticed = Noticed()
        self._rules_changed = False  # since late files were last looked for
        self.started = started
        self.walk_seconds = walk_seconds
        self.walked = time.monotonic()

    @property
    def watcher(self) -> Inotify | None:
        """inotify, where it works."""
        return self.tree.watcher

    @property
    def unvisited(self) -> int:
        """The number of names that something happened to since the last look."""
        return len(self._noticed.files) + len(self._noticed.folders)

    @property
    def is_quiet(self) -> bool:
        """Whether a look would certainly find nothing. This takes a few calls of stat, and changes nothing."""
        if self.watcher is None or self.watcher.is_queued or self.unvisited or self._noticed.lost:
            return False
        if self._rules_changed or self.walk.unlisted or self.tree.unreadable or self.tree.repositories:
            return False
        return self.tree.scope.is_current and (self._everything or self._indexes.is_outer_current)

    def look(
        self,
        suspects: Suspects,
        *,
        all_of_it: bool,
        live: frozenset[bytes] | None = None,
    ) -> None:
        """Add whatever may differ from what was last seen; without inotify, in the folders `live` alone if given.

        What the deadline leaves is added by the next look.
        """
        self.collect()
        noticed, self._noticed = self._noticed, Noticed()
        self.walk.resume(suspects)
        if self.watcher is None and live is not None:
            self.walk.compare_only(live, suspects)
        elif all_of_it or noticed.lost or self.watcher is None:
            began = time.monotonic()
            self.walk.compare(suspects)
            self.walked = time.monotonic()
            self.walk_seconds = self.walked - began
        if self.tree.scope.user_files_changed() or any(name == _IGNORE_FILE for _, name in noticed.files):
            self._rules_changed = True
        if noticed.folders or self._rules_changed:
            self.tree.scope.reread()
        self._visit(sorted(noticed.folders), self._noticed.folders, suspects)
        self._visit(sorted(noticed.files), self._noticed.files, suspects)
        for folder in [
            folder for folder in self.tree.unreadable if is_readable(under(self.tree.root, folder))
        ]:
            self.walk.compare(suspects, folder)
        self._rules_changed |= any(base(path) == _IGNORE_FILE for path in suspects)
        if not self._everything and not self._deadline.passed:
            self._add_late(suspects)

    def look_ahead(self, suspects: Suspects) -> None:
        """Add the known files that inotify has reported, while a call is still running: then less is left to do at
        its end. New names are left to `look`, since the call may still write the rules that ignore them.
        """
        self.collect()
        known_names = [
            (folder, name)
            for folder, name in self._noticed.files
            if len(self.tree.folders.get(folder, {}).get(name, b"")) > 1 and name != _IGNORE_FILE
        ]
        for folder, name in known_names:
            suspects.setdefault(join(folder, name), self.tree.folders[folder][name])
        self._noticed.files.difference_update(known_names)

    def _visit(
        self, names: Sequence[tuple[bytes, bytes]], left: set[tuple[bytes, bytes]], suspects: Suspects
    ) -> None:
        """Visit these names, and add those that the deadline leaves to `left`."""
        for at, (folder, name) in enumerate(names):
            if self._deadline.passed:
                left.update(names[at:])
                return
            self.walk.visit(folder, name, suspects)

    def collect(self) -> None:
        """Take what the kernel has queued, before its queue is full."""
        if self.watcher is None:
            return
        try:
            seen = self.watcher.drain()
        except OSError as error:
            log.warning("inotify failed (%s): files are compared one by one", error)
            self.tree.watcher = None
            return
        self._noticed.files |= seen.files
        self._noticed.folders |= seen.folders
        self._noticed.lost |= seen.lost

    def _add_late(self, suspects: Suspects) -> None:
        """Add files that are tracked from now on: ignored until the rules changed, or until git tracked them."""
        late: Suspects = {}
        if self._rules_changed:
            self._rules_changed = False
            self.tree.scope.reread()
            late |= self._late.no_longer_ignored()
        late |= self.newly_tracked()
        for path, old in late.items():
            suspects.setdefault(path, old)

    def newly_tracked(self) -> Suspects:
        """Return the ignored files that git tracks by now."""
        found: Suspects = {}
        for folder, tracked in self._indexes.changed(self.tree.repositories):
            self.tree.scope.add_tracked({join(folder, inner) if folder else inner for inner in tracked})
            found |= self._late.add_repository(folder, tracked)
        return found
