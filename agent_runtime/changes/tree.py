"""The workspace as it was last seen: which names it has, and which of them are tracked.

`TreeWalk` finds what differs from it, `LateFiles` what begins to be tracked during the run.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from agent_runtime.changes.entries import inode_of
from agent_runtime.changes.ignored_changes import IgnoredChanges
from agent_runtime.changes.scope import Scope
from agent_runtime.git.repository import gitfile_target, is_git_directory
from agent_runtime.system.byte_paths import exists, join, parent, under
from agent_runtime.system.inotify import Inotify

log = logging.getLogger(__name__)

FOLDER, IGNORED = b"/", b""  # what a name may stand for, besides a packed entry


class Tree:
    """Folders by their path relative to the root; in each, names with a packed entry, FOLDER or IGNORED.

    Args:
        root: absolute.
        scope: what is left out.
        watcher: inotify, where there is one.

    Attributes:
        recalled: paths that existed once: the ignore rules do not apply to them any more.
        repositories: folders in which another repository begins.
        unreadable: folders that could not be listed yet.
        partial: ignored folders, where only what git tracks counts.
    """

    def __init__(self, root: bytes, scope: Scope, watcher: Inotify | None) -> None:
        self.root = root
        self.scope = scope
        self.watcher = watcher
        self.folders: dict[bytes, dict[bytes, bytes]] = {}
        self.ignored = IgnoredChanges(root)
        self.recalled: set[bytes] = set()
        self.repositories: set[bytes] = set()
        self.unreadable: set[bytes] = set()
        self.partial: set[bytes] = set()

    # -- entries ----------------------------------------------------------------------------------------------

    def entries(self) -> Iterator[tuple[bytes, dict[bytes, bytes], bytes, bytes]]:
        """Yield (folder, its names, name, packed entry) of every file; entries may be replaced meanwhile."""
        for folder, names in self.folders.items():
            for name, packed in list(names.items()):
                if len(packed) > 1:
                    yield folder, names, name, packed

    def named(self, inodes: set[int]) -> list[tuple[bytes, bytes]]:
        """Return (path, packed entry) of every file that is one of these inodes."""
        return [
            (join(folder, name), packed)
            for folder, _, name, packed in self.entries()
            if inode_of(packed) in inodes
        ]

    def get(self, path: bytes) -> bytes | None:
        """Return the packed entry of a file; None when there is none that counts."""
        folder, _, name = path.rpartition(b"/")
        packed = self.folders.get(folder, {}).get(name, IGNORED)
        return packed if len(packed) > 1 else None

    def put(self, path: bytes, packed: bytes | None) -> None:
        """Remember what a file is now; None: it does not exist."""
        folder, _, name = path.rpartition(b"/")
        names = self.folders.get(folder)
        if names is None:
            return
        if packed is not None:
            names[name] = packed
        elif len(names.get(name, FOLDER)) > 1:
            del names[name]

    def covers(self, path: bytes) -> bool:
        """Whether this path, which may be new, belongs to what is tracked."""
        *folders, name = path.split(b"/")
        above = b""
        for part in folders:
            child, known = join(above, part), self.folders.get(above, {}).get(part)
            if self.scope.excludes(child, part) or known == IGNORED:
                return False
            new = known is None and child not in self.scope.tracked
            if new and (above in self.partial or self.scope.ignores(above, part, True)):
                return False
            above = child
        known = self.folders.get(above, {}).get(name)
        if known is not None or path in self.recalled:
            return known != IGNORED
        return not (
            self.scope.excludes(path, name) or above in self.partial or self.scope.ignores(above, name, False)
        )

    # -- folders ----------------------------------------------------------------------------------------------

    def untracked_folders(self, folder: bytes) -> list[bytes]:
        """Return this folder and those above it that are not tracked yet, the topmost first."""
        missing = []
        while folder not in self.folders:
            missing.append(folder)
            folder = parent(folder)
        return missing[::-1]

    def track_folders(self, folders: Sequence[bytes]) -> None:
        """Track folders that exist, the topmost first, without listing them."""
        for path in folders:
            above, _, name = path.rpartition(b"/")
            self.folders[above][name] = FOLDER
            self.folders[path] = {}
            self.watch(path)

    def enter(self, folder: bytes, name: bytes, *, changed: bool = False) -> bool:
        """Whether this folder is to be listed."""
        path = join(folder, name)
        if self.scope.excludes(path, name):
            if name == b".git" and folder:
                self.repositories.add(folder)
            return False
        inner = path in self.scope.tracked
        if not inner and self._is_git_directory(folder, path):
            return False
        if folder in self.partial:
            if not inner:
                return False
            self.partial.add(path)
        elif self.scope.ignores(folder, name, True):
            if not inner:
                self.folders[folder][name] = IGNORED
                self.ignored.folder(path, changed=changed)
                return False
            self.partial.add(path)
        self.folders[folder][name] = FOLDER
        if folder in self.unreadable:
            self.unreadable.add(path)
        return True

    def _is_git_directory(self, folder: bytes, path: bytes) -> bool:
        """Whether this folder is, under another name, the `.git` of its parent or of linked worktrees."""
        full = under(self.root, path)
        return is_git_directory(full) and (
            exists(join(full, b"worktrees")) or gitfile_target(under(self.root, folder)) == full
        )

    def counts(self, folder: bytes, name: bytes, *, changed: bool = False) -> bool:
        """Whether this new file is one that is tracked."""
        path = join(folder, name)
        if self.scope.excludes(path, name):
            if name == b".git" and folder:
                self.repositories.add(folder)
            return False
        if folder in self.partial:
            return False
        if not self.scope.ignores(folder, name, False):
            return True
        self.folders[folder][name] = IGNORED
        if changed:
            self.ignored.changed(path, new=True)
        return False

    def watch(self, folder: bytes) -> None:
        """Have inotify report what happens in this folder. Where its limit is reached, inotify is given up."""
        if self.watcher:
            try:
                self.watcher.add(folder)
            except OSError as error:
                self.watcher = None
                log.warning("no more inotify watches (%s): files are compared one by one", error)
