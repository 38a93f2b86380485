"""The tree at the beginning of a run, with every old text kept, and the looks that come after."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from agent_runtime.changes.content_store import ContentStore
from agent_runtime.changes.contents import Contents, read_content
from agent_runtime.changes.degradation import Degradation
from agent_runtime.changes.entries import IN_GIT, PENDING, PENDING_TAIL, Entry, pack_stat, unpack
from agent_runtime.changes.indexes import Indexes
from agent_runtime.changes.scope import Scope
from agent_runtime.changes.tree import Suspects, Tree
from agent_runtime.git.objects import SYMLINK, blob_sizes
from agent_runtime.git.repository import Repository, discover, names_conversion
from agent_runtime.system.byte_paths import (
    base,
    is_readable,
    join,
    located,
    read_file,
    real,
    relative,
    under,
)
from agent_runtime.system.inotify import Inotify, Noticed

log = logging.getLogger(__name__)

_KERNEL_FOLDERS = (b"/proc", b"/sys", b"/dev", b"/run")  # not files to track, should the workspace be `/`
_TICK_NS = 10_000_000  # the times of files lag behind the clock by up to a tick
_BATCH = 5000  # blobs whose sizes are compared at a time
_FEW = 2000  # files of which git's contents are compared by hash, not by size alone
_POINTER_SIZES = range(
    100, 200
)  # bytes of an LFS pointer, which has the size of no other form of a small file


class Baseline:
    """`take` it once, in a thread of its own; then `look`.

    Args:
        root: the workspace.
        directory: where the store of contents may live.
        exclude: absolute paths that are left out, whatever `everything` says.
        everything: ignored files too.
        degradation: records what cannot be done.

    Attributes:
        tree: the files, once taken.
        contents: their contents, once taken.
        taken: whether the first look is complete.
        started: when it began, ns since the epoch.
        walk: seconds that the latest look at everything took.
        walked: when that ended, by the monotonic clock.
    """

    tree: Tree
    contents: Contents
    _indexes: Indexes

    def __init__(
        self,
        root: bytes,
        directory: Path,
        *,
        exclude: Sequence[bytes],
        everything: bool,
        degradation: Degradation,
    ) -> None:
        self._root = root
        self._exclude = frozenset(
            relative(real(root), located(root, path)) for path in (*exclude, *_KERNEL_FOLDERS)
        )
        self._directory = directory
        self._everything = everything
        self._degradation = degradation
        self._noticed = Noticed()
        self.taken = False
        self.started = 0
        self.walk = 0.0
        self.walked = time.monotonic()

    @property
    def watcher(self) -> Inotify | None:
        """inotify, where it works."""
        return self.tree.watcher

    def take(self) -> None:
        """List everything and keep what must be kept. After a failure `taken` stays False."""
        try:
            self._take()
            self.taken = True
        except Exception as error:
            log.warning("changed files are not reported: the workspace could not be read", exc_info=True)
            self._degradation.note("off", error=error)

    def look(
        self,
        suspects: Suspects,
        *,
        all_of_it: bool,
        live: frozenset[bytes] | None = None,
    ) -> None:
        """Add whatever may differ from what was last seen; without inotify, in the folders `live` alone if given."""
        self.collect()
        noticed, self._noticed = self._noticed, Noticed()
        if self.watcher is None and live is not None:
            self.tree.compare_only(live, suspects)
        elif all_of_it or noticed.lost or self.watcher is None:
            began = time.monotonic()
            self.tree.compare(suspects)
            self.walked = time.monotonic()
            self.walk = self.walked - began
        rules_changed = self.tree.scope.user_files_changed() or any(
            name == b".gitignore" for _, name in noticed.files
        )
        if noticed.folders or rules_changed:
            self.tree.scope.reread()
        for folder, name in sorted(noticed.folders) + sorted(noticed.files):
            self.tree.visit(folder, name, suspects)
        for folder in [folder for folder in self.tree.unreadable if is_readable(under(self._root, folder))]:
            self.tree.compare(suspects, folder)
        self._add_late(suspects, rules_changed or any(base(path) == b".gitignore" for path in suspects))

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

    def _add_late(self, suspects: Suspects, rules_changed: bool) -> None:
        """Add files that begin to count: ignored until the rules changed, or until git tracked them."""
        if self._everything:
            return
        late: Suspects = {}
        if rules_changed:
            self.tree.scope.reread()
            late |= self.tree.no_longer_ignored()
        late |= self._newly_tracked()
        for path, old in late.items():
            suspects.setdefault(path, old)

    def _newly_tracked(self) -> Suspects:
        """Ignored files that git tracks by now."""
        found: Suspects = {}
        for folder, tracked in self._indexes.changed(self.tree.repositories):
            self.tree.scope.add_tracked({join(folder, inner) if folder else inner for inner in tracked})
            found |= self.tree.add_repository(folder, tracked)
        return found

    def _take(self) -> None:
        self.started = time.time_ns() - _TICK_NS
        repository = discover(self._root)
        self._indexes = Indexes(self._root, repository)
        tracked, written = self._indexes.first()
        scope = Scope(self._root, repository, exclude=self._exclude, everything=self._everything)
        scope.add_tracked(set(tracked))
        self.tree = Tree(self._root, scope, self._inotify(), self._degradation)
        self.contents = Contents(ContentStore(self._directory), self._root)
        began = time.monotonic()
        self.tree.first_look(tracked, written)
        self.walked = time.monotonic()
        self.walk = self.walked - began
        del tracked
        while not self._everything and (found := self._newly_tracked()):
            for path in found:  # of repositories in the workspace; may lead to others
                self._keep(path, None)
        if repository:
            self._doubt(repository)
        for folder, _, name, packed in self.tree.entries():
            if packed.endswith(PENDING_TAIL):
                self._keep(join(folder, name), unpack(packed))

    def _inotify(self) -> Inotify | None:
        try:
            return Inotify(self._root)
        except OSError as error:
            log.warning("no inotify (%s): files are compared one by one", error)
            return None

    def _doubt(self, repository: Repository) -> None:
        """Read the files that may differ from their blobs, though git's index says that they are unchanged.

        Conversions of line ends, encodings and filters come between the two, by settings that may have been another
        user's or have changed since. Nearly all change the size; where one may not, or reading is cheap, all are read.
        """
        entries = self.tree.entries()
        vouched = (item for item in entries if unpack(item[3]).offset == IN_GIT)
        batch = list(islice(vouched, _BATCH))
        read_all = len(batch) <= _FEW or repository.converts or self._converts()
        while batch:
            unpacked = [unpack(packed) for _, _, _, packed in batch]
            doubts = [True] * len(batch) if read_all else self._unfaithful(unpacked)
            for (_, names, name, _), entry, doubt in zip(batch, unpacked, doubts, strict=True):
                if doubt:
                    names[name] = entry._replace(offset=PENDING).pack()
            batch = list(islice(vouched, _BATCH))

    def _converts(self) -> bool:
        """Whether an attribute file in the workspace names a filter or an encoding."""
        return any(
            names_conversion(read_file(under(self._root, join(folder, b".gitattributes"))))
            for folder, names in self.tree.folders.items()
            if b".gitattributes" in names
        )

    def _unfaithful(self, entries: list[Entry]) -> list[bool]:
        sizes = blob_sizes(self._root, [entry.oid for entry in entries])
        return [
            size != entry.size or size in _POINTER_SIZES for size, entry in zip(sizes, entries, strict=True)
        ]

    def _keep(self, path: bytes, entry: Entry | None) -> None:
        """Keep what a file holds at the beginning, unless git has it."""
        try:
            regular = entry is not None and entry.mode != SYMLINK
            content = read_content(under(self._root, path), regular=regular)
            if content is None:
                self.tree.put(path, None)
                return
            if content.error:
                self._degradation.note("unreadable", path, content.error)
            known = entry is not None and content.oid == entry.oid and content.data is not None
            offset = IN_GIT if known else self.contents.keep(content)
            self.tree.put(path, pack_stat(content.stat, content.oid, offset))
        except Exception as error:
            self._degradation.note("failed", path, error)
