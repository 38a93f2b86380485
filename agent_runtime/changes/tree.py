"""The workspace as it was last seen, and looking for what differs from that.

Nothing is read here, only listed and stat-ed: what looks different is a suspect, and its content decides
later.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

from agent_runtime.changes.entries import IN_GIT, PENDING, SIGNATURE_BYTES, inode_of, pack_stat, signature
from agent_runtime.changes.ignored_changes import IgnoredChanges
from agent_runtime.changes.scope import Scope
from agent_runtime.git.objects import UNKNOWN
from agent_runtime.git.repository import Tracked, clean, oid_of
from agent_runtime.system.byte_paths import exists, is_folder, join, real, under
from agent_runtime.system.inotify import Inotify

log = logging.getLogger(__name__)

FOLDER, IGNORED = b"/", b""  # what a name may stand for, besides a packed entry

Suspects = dict[bytes, bytes | None]  # path -> the packed entry it had, None when it was not there


class Tree:
    """Folders by their path relative to the root; in each, names with a packed entry, FOLDER or IGNORED."""

    def __init__(self, root: bytes, scope: Scope, watcher: Inotify | None) -> None:
        self.root = root
        self.scope = scope
        self.watcher = watcher
        self.folders: dict[bytes, dict[bytes, bytes]] = {}
        self.ignored = IgnoredChanges(root)
        self.recalled: set[bytes] = set()  # paths that were there once: the rules do not speak of them again
        self._partial: set[bytes] = set()  # ignored folders, where only what git tracks counts

    def first_look(self, tracked: Tracked, written: int) -> None:
        """Everything there is. `tracked` and `written` are the repository's index and its time."""
        stack = [b""]
        while stack:
            folder = stack.pop()
            self.folders[folder] = {}
            self._watch(folder)
            known = tracked.get(folder, {})
            for item in self._listing(folder):
                if item.is_dir(follow_symlinks=False):
                    if self._enter(folder, item.name):
                        stack.append(join(folder, item.name))
                else:
                    self._first_entry(folder, item, known.get(item.name), written)

    def _first_entry(self, folder: bytes, item: os.DirEntry[bytes], raw: bytes | None, written: int) -> None:
        if raw is None and not self._counts(folder, item.name):
            return
        try:
            st = item.stat(follow_symlinks=False)
        except OSError:
            return
        oid = oid_of(raw) if raw else UNKNOWN
        where = IN_GIT if raw and clean(raw, st, written) else PENDING
        packed = pack_stat(st, oid, where)
        if packed[:4] != bytes(4):  # a socket, FIFO or device has no mode of git's
            self.folders[folder][item.name] = packed

    def entries(self) -> Iterator[tuple[bytes, dict[bytes, bytes], bytes, bytes]]:
        """(folder, its names, name, packed entry) of every file; entries may be replaced meanwhile."""
        for folder, names in self.folders.items():
            for name, packed in list(names.items()):
                if len(packed) > 1:
                    yield folder, names, name, packed

    def named(self, inodes: set[int]) -> list[tuple[bytes, bytes]]:
        """The paths, with their packed entries, that were last seen to name one of these inodes."""
        return [
            (join(folder, name), packed)
            for folder, _, name, packed in self.entries()
            if inode_of(packed) in inodes
        ]

    def get(self, path: bytes) -> bytes | None:
        """The packed entry of a file; None when there is none that counts."""
        folder, _, name = path.rpartition(b"/")
        packed = self.folders.get(folder, {}).get(name, IGNORED)
        return packed if len(packed) > 1 else None

    def put(self, path: bytes, packed: bytes | None) -> None:
        """A file is so now, or (None) is not there."""
        folder, _, name = path.rpartition(b"/")
        names = self.folders.get(folder)
        if names is None:
            return
        if packed is not None:
            names[name] = packed
        elif len(names.get(name, FOLDER)) > 1:
            del names[name]

    def compare(self, suspects: Suspects, below: bytes = b"") -> None:
        """List all folders at and below one; whatever does not look as remembered becomes a suspect."""
        self.scope.reread()
        stack = [below]
        while stack:
            self._compare_folder(stack.pop(), suspects, stack)

    def compare_only(self, folders: frozenset[bytes], suspects: Suspects) -> None:
        """The same for the names directly in these, and for folders that are new there."""
        self.scope.reread()
        stack: list[bytes] = []
        for folder in sorted(folders & self.folders.keys()):
            whole = under(real(self.root), folder)
            if not folder or real(whole) == whole:  # else a symlink took its place
                self._compare_folder(folder, suspects, stack, deep=False)
        while stack:
            self._compare_folder(stack.pop(), suspects, stack)

    def visit(self, folder: bytes, name: bytes, suspects: Suspects) -> None:
        """Something happened to this name: a file becomes a suspect whatever its stat says."""
        stack: list[bytes] = []
        self._visit(folder, name, suspects, stack)
        while stack:
            self._compare_folder(stack.pop(), suspects, stack)

    def covers(self, path: bytes) -> bool:
        """Does this path, that may be new, belong to what is tracked?"""
        *folders, name = path.split(b"/")
        above = b""
        for part in folders:
            child, known = join(above, part), self.folders.get(above, {}).get(part)
            if self.scope.excludes(child, part) or known == IGNORED:
                return False
            new = known is None and child not in self.scope.tracked
            if new and (above in self._partial or self.scope.ignores(above, part, True)):
                return False
            above = child
        known = self.folders.get(above, {}).get(name)
        if known is not None or path in self.recalled:
            return known != IGNORED
        return not (
            self.scope.excludes(path, name)
            or above in self._partial
            or self.scope.ignores(above, name, False)
        )

    def adopt(self, folder: bytes) -> bool:
        """A folder that is tracked and there: make it known, unlisted. False when it was known."""
        if folder in self.folders:
            return False
        above, _, name = folder.rpartition(b"/")
        self.adopt(above)
        self.folders[above][name] = FOLDER
        self.folders[folder] = {}
        self._watch(folder)
        return True

    def _compare_folder(
        self, folder: bytes, suspects: Suspects, stack: list[bytes], *, deep: bool = True
    ) -> None:
        names = self.folders.setdefault(folder, {})
        self._watch(folder)
        missing = set(names)
        for item in self._listing(folder, missing):
            name = item.name
            missing.discard(name)
            known = names.get(name)
            if known == IGNORED:
                continue
            if item.is_dir(follow_symlinks=False):
                if known != FOLDER:
                    self._visit(folder, name, suspects, stack)
                elif deep:
                    stack.append(join(folder, name))
            elif known is None or known == FOLDER or self._differs(item, known):
                self._visit(folder, name, suspects, stack)
        for name in missing:
            self._visit(folder, name, suspects, stack)

    def _differs(self, item: os.DirEntry[bytes], known: bytes) -> bool:
        try:
            return signature(item.stat(follow_symlinks=False)) != known[:SIGNATURE_BYTES]
        except OSError:
            return True

    def _visit(self, folder: bytes, name: bytes, suspects: Suspects, stack: list[bytes]) -> None:
        names = self.folders.get(folder)
        if names is None:
            return  # its folder went, and all below with it
        path = join(folder, name)
        known = names.get(name)
        full = under(self.root, path)
        folder_now = is_folder(full)
        if known == FOLDER and not folder_now:
            self._forget(path, suspects)
            del names[name]
            known = None
        if known == IGNORED:
            self.ignored.changed(path)
            if not exists(full):
                del names[name]
        elif folder_now:
            if known and known != FOLDER:
                suspects.setdefault(path, known)
            if known == FOLDER or self._enter(folder, name, changed=True):
                stack.append(path)
        elif known or path in suspects or not exists(full):
            if known:
                suspects.setdefault(path, known)
        elif path in self.recalled or self._counts(folder, name, changed=True):
            suspects[path] = None

    def _forget(self, folder: bytes, suspects: Suspects) -> None:
        stack = [folder]
        while stack:
            gone = stack.pop()
            if self.watcher:
                self.watcher.drop(gone)
            for name, known in self.folders.pop(gone, {}).items():
                path = join(gone, name)
                if known == FOLDER:
                    stack.append(path)
                elif known != IGNORED:
                    suspects.setdefault(path, known)

    def _enter(self, folder: bytes, name: bytes, *, changed: bool = False) -> bool:
        """Is this folder to be looked into?"""
        path = join(folder, name)
        if self.scope.excludes(path, name):
            return False
        inner = path in self.scope.tracked
        if folder in self._partial:
            if not inner:
                return False
            self._partial.add(path)
        elif self.scope.ignores(folder, name, True):
            if not inner:
                self.folders[folder][name] = IGNORED
                self.ignored.folder(path, changed=changed)
                return False
            self._partial.add(path)
        self.folders[folder][name] = FOLDER
        return True

    def _counts(self, folder: bytes, name: bytes, *, changed: bool = False) -> bool:
        """Is this new file one that is tracked?"""
        if folder in self._partial or self.scope.excludes(join(folder, name), name):
            return False
        if not self.scope.ignores(folder, name, False):
            return True
        self.folders[folder][name] = IGNORED
        if changed:
            self.ignored.changed(join(folder, name))
        return False

    def _watch(self, folder: bytes) -> None:
        if self.watcher:
            try:
                self.watcher.add(folder)
            except OSError as error:
                self.watcher = None
                log.warning("no more inotify watches (%s): files are compared one by one", error)

    def _listing(self, folder: bytes, missing: set[bytes] | None = None) -> Iterator[os.DirEntry[bytes]]:
        try:
            with os.scandir(under(self.root, folder)) as items:
                yield from items
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError:  # what may not be listed is taken to be as it was
            if missing is not None:
                missing.clear()
