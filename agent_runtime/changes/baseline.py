"""The tree at the beginning, with every old content in safe keeping, and the looks that come after."""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from agent_runtime.changes.content_store import ContentStore
from agent_runtime.changes.contents import Contents, read_content
from agent_runtime.changes.entries import IN_GIT, PENDING, PENDING_TAIL, Entry, pack_stat, unpack
from agent_runtime.changes.scope import Scope
from agent_runtime.changes.tree import Suspects, Tree
from agent_runtime.git.objects import SYMLINK
from agent_runtime.git.repository import Repository, Tracked, blob_sizes, discover
from agent_runtime.system.byte_paths import join, located, parent, real, relative, under
from agent_runtime.system.inotify import Inotify, Noticed

log = logging.getLogger(__name__)

_KERNELS = (b"/proc", b"/sys", b"/dev", b"/run")  # no files to track, should the workspace be the root itself
_BATCH = 1000  # blobs asked after at a time


class Baseline:
    """`take` it once, in a thread of its own; then `look`.

    Args:
        root: the workspace.
        directory: where the store of contents may live.
        exclude: absolute paths that are left out, whatever `everything` says.
        everything: ignored files too.
    """

    tree: Tree
    contents: Contents

    def __init__(self, root: bytes, directory: Path, *, exclude: Sequence[bytes], everything: bool) -> None:
        self._root = root
        self._exclude = frozenset(relative(real(root), located(root, path)) for path in (*exclude, *_KERNELS))
        self._directory = directory
        self._everything = everything
        self._noticed = Noticed()
        self.taken = False
        self.walk = 0.0  # seconds that the latest look at everything took
        self.walked = time.monotonic()  # when it ended

    @property
    def watcher(self) -> Inotify | None:
        """The kernel's eyes, where they serve."""
        return self.tree.watcher

    def take(self) -> None:
        """Look at everything, keep what must be kept. A failure is logged, and `taken` stays False."""
        try:
            self._take()
            self.taken = True
        except Exception:
            log.warning("changed files will not be told: the tree could not be looked at", exc_info=True)

    def look(self, suspects: Suspects, *, all_of_it: bool, live: frozenset[bytes] | None = None) -> None:
        """Whatever may differ from what was last seen; where the kernel does not tell, in `live` alone."""
        self.collect()
        noticed, self._noticed = self._noticed, Noticed()
        if self.watcher is None and live is not None:
            self.tree.compare_only(live, suspects)
        elif all_of_it or noticed.lost or self.watcher is None:
            began = time.monotonic()
            self.tree.compare(suspects)
            self.walked = time.monotonic()
            self.walk = self.walked - began
        if noticed.folders or any(name == b".gitignore" for _, name in noticed.files):
            self.tree.scope.reread()
        for folder, name in sorted(noticed.folders) + sorted(noticed.files):
            self.tree.visit(folder, name, suspects)

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

    def _take(self) -> None:
        repository = discover(self._root)
        tracked, written = self._index(repository)
        folders = frozenset(_with_parents(tracked))
        scope = Scope(self._root, repository, folders, exclude=self._exclude, everything=self._everything)
        self.tree = Tree(self._root, scope, self._inotify())
        self.contents = Contents(ContentStore(self._directory), self._root)
        began = time.monotonic()
        self.tree.first_look(tracked, written)
        self.walked = time.monotonic()
        self.walk = self.walked - began
        del tracked
        if repository:
            self._doubt(repository)
        self._keep()

    def _index(self, repository: Repository | None) -> tuple[Tracked, int]:
        if repository is None:
            return {}, 0
        try:
            return repository.tracked()
        except (OSError, ValueError, IndexError, struct.error) as error:
            log.warning("git's index could not be read (%s): all files are kept", error)
            return {}, 0

    def _inotify(self) -> Inotify | None:
        try:
            return Inotify(self._root)
        except OSError as error:
            log.warning("no inotify (%s): files are compared one by one", error)
            return None

    def _doubt(self, repository: Repository) -> None:
        """Blobs that may differ from the files checked out from them will not do."""
        rewrites = repository.rewrites or any(
            b".gitattributes" in names for names in self.tree.folders.values()
        )
        if not (rewrites or repository.filters):
            return
        vouched = (item for item in self.tree.entries() if unpack(item[3]).offset == IN_GIT)
        while batch := list(islice(vouched, _BATCH)):
            entries = [unpack(packed) for _, _, _, packed in batch]
            doubts = [True] * len(batch) if repository.filters else unfaithful(self._root, entries)
            for (_, names, name, _), entry, doubt in zip(batch, entries, doubts, strict=True):
                if doubt:
                    names[name] = entry._replace(offset=PENDING).pack()

    def _keep(self) -> None:
        for folder, names, name, packed in self.tree.entries():
            if not packed.endswith(PENDING_TAIL):
                continue
            entry = unpack(packed)
            content = read_content(under(self._root, join(folder, name)), regular=entry.mode != SYMLINK)
            if content is None:
                del names[name]
                continue
            known = content.oid == entry.oid and content.data is not None
            offset = IN_GIT if known else self.contents.keep(content, binary=False)
            names[name] = pack_stat(content.stat, content.oid, offset)


def _with_parents(folders: Tracked) -> set[bytes]:
    found: set[bytes] = set()
    for folder in folders:
        while folder and folder not in found:
            found.add(folder)
            folder = parent(folder)
    return found


def unfaithful(workspace: bytes, entries: list[Entry]) -> list[bool]:
    """Which entries cannot be the bytes of their blobs: line-end conversion, an encoding or a filter came between."""
    sizes = blob_sizes(workspace, [entry.oid for entry in entries])
    sizes += [-1] * (len(entries) - len(sizes))
    return [size != entry.size for size, entry in zip(sizes, entries, strict=False)]
