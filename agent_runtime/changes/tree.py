"""The workspace as it was last seen, and finding what differs from that.

Nothing is read here, only listed: what looks different is a suspect, and its content decides later (see `ledger`). A
name that cannot be handled is skipped and noted; it does not end the walk.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

from agent_runtime.changes.degradation import Degradation
from agent_runtime.changes.entries import IN_GIT, PENDING, SIGNATURE_BYTES, inode_of, pack_stat, signature
from agent_runtime.changes.ignored_changes import IgnoredChanges
from agent_runtime.changes.scope import Scope
from agent_runtime.git.index import UNVOUCHED, Tracked, oid_of, vouches
from agent_runtime.git.objects import UNKNOWN
from agent_runtime.git.repository import gitfile_target, is_git_directory
from agent_runtime.system.byte_paths import exists, is_folder, join, real, under
from agent_runtime.system.inotify import Inotify

log = logging.getLogger(__name__)

FOLDER, IGNORED = b"/", b""  # what a name may stand for, besides a packed entry
# In place of a suspect's entry. LATE: it begins to be tracked, and may have existed before the run. UNSEEN: it did
# exist if it is older than the run, but its folder could not be read.
LATE, UNSEEN = b"?", b"!"

Suspects = dict[
    bytes, bytes | None
]  # path -> the packed entry it had; None: it did not exist; LATE or UNSEEN


class Tree:
    """Folders by their path relative to the root; in each, names with a packed entry, FOLDER or IGNORED.

    Args:
        root: absolute.
        scope: what is left out.
        watcher: inotify, where there is one.
        degradation: records what cannot be read.

    Attributes:
        recalled: paths that existed once: the ignore rules do not apply to them any more.
        repositories: folders in which another repository begins.
        unreadable: folders that could not be listed yet.
    """

    def __init__(self, root: bytes, scope: Scope, watcher: Inotify | None, degradation: Degradation) -> None:
        self.root = root
        self.scope = scope
        self.watcher = watcher
        self.folders: dict[bytes, dict[bytes, bytes]] = {}
        self.ignored = IgnoredChanges(root)
        self.recalled: set[bytes] = set()
        self.repositories: set[bytes] = set()
        self.unreadable: set[bytes] = set()
        self._degradation = degradation
        self._partial: set[bytes] = set()  # ignored folders, where only what git tracks counts

    # -- the first walk ---------------------------------------------------------------------------------------

    def first_look(self, tracked: Tracked, written: int) -> None:
        """List everything. `tracked` and `written` are the repository's index and its time."""
        stack = [b""]
        while stack:
            folder = stack.pop()
            self.folders[folder] = {}
            self._watch(folder)
            known = tracked.get(folder, {})
            for item in self._listing(folder) or ():
                with self._degradation.skipping(join(folder, item.name)):
                    if item.is_dir(follow_symlinks=False):
                        if self._enter(folder, item.name):
                            stack.append(join(folder, item.name))
                    else:
                        self._first_entry(folder, item, known.get(item.name), written)

    def add_repository(self, folder: bytes, tracked: Tracked) -> Suspects:
        """Ignored files that the repository of this folder tracks count from now on. Returns those."""
        late: Suspects = {}
        for inner, names in tracked.items():
            self._add_tracked(join(folder, inner) if folder and inner else folder or inner, names, late)
        return late

    def _add_tracked(self, folder: bytes, names: dict[bytes, bytes], late: Suspects) -> None:
        here = self.folders.get(folder)
        if here is not None and folder not in self._partial:
            new = [name for name in names if here.get(name) == IGNORED]
        else:
            new = [name for name in names if len((here or {}).get(name, IGNORED)) <= 1]
        for name in new:
            path = join(folder, name)
            full = under(self.root, path)
            if exists(full) and not is_folder(full) and self._open(folder):
                late[path] = self._end_ignoring(folder, name)
                self.recalled.add(path)

    def _end_ignoring(self, folder: bytes, name: bytes) -> bytes:
        """LATE or UNSEEN, for a file."""
        path = join(folder, name)
        known = self.folders[folder].get(name) == IGNORED
        if known:
            del self.folders[folder][name]
        existed = self.ignored.existed(path) if known else self.ignored.contained(path)
        self.ignored.forget(path)
        return UNSEEN if existed else LATE

    def _open(self, folder: bytes) -> bool:
        """Track a folder that was ignored, for what git tracks in it. False when it is not one."""
        missing = []
        while folder not in self.folders:
            missing.append(folder)
            folder = folder.rpartition(b"/")[0]
        for path in reversed(missing):
            above, _, name = path.rpartition(b"/")
            if not is_folder(under(self.root, path)) or self.scope.excludes(path, name):
                return False
            self.folders[above][name] = FOLDER
            self.folders[path] = {}
            self._partial.add(path)
            self._watch(path)
        return True

    def no_longer_ignored(self) -> Suspects:
        """The files that were ignored and are not by the rules of now."""
        late: Suspects = {}
        for folder, names in list(self.folders.items()):
            if folder in self._partial:
                if self._still_ignored(folder):
                    continue
                self._partial.discard(folder)
                self._compare_late(folder, late)
            for name in [name for name, known in names.items() if known == IGNORED]:
                path = join(folder, name)
                inside = is_folder(under(self.root, path))
                if self.scope.ignores(folder, name, inside):
                    continue
                old = self._end_ignoring(folder, name)
                if not inside:
                    late[path] = old
                elif self._enter(folder, name, changed=True):
                    self._compare_late(path, late)
        return late

    def _compare_late(self, folder: bytes, late: Suspects) -> None:
        found: Suspects = {}
        self._compare_all([folder], found)
        for path, old in found.items():
            late[path] = old or (UNSEEN if self.ignored.contained(path) else LATE)

    def _still_ignored(self, folder: bytes) -> bool:
        above, _, name = folder.rpartition(b"/")
        return above in self._partial or self.scope.ignores(above, name, True)

    def _first_entry(self, folder: bytes, item: os.DirEntry[bytes], raw: bytes | None, written: int) -> None:
        if raw is None and not self._counts(folder, item.name):
            return
        try:
            st = item.stat(follow_symlinks=False)
        except OSError:
            return
        vouched = raw is not None and raw != UNVOUCHED
        where = IN_GIT if raw and vouched and vouches(raw, st, written) else PENDING
        packed = pack_stat(st, oid_of(raw) if raw and vouched else UNKNOWN, where)
        if packed[:4] != bytes(4):  # a socket, FIFO or device has no mode of git's
            self.folders[folder][item.name] = packed

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
        """Track a folder that exists, without listing it. False when it was tracked already."""
        missing = []
        while folder not in self.folders:
            missing.append(folder)
            folder = folder.rpartition(b"/")[0]
        for path in reversed(missing):
            above, _, name = path.rpartition(b"/")
            self.folders[above][name] = FOLDER
            self.folders[path] = {}
            self._watch(path)
        return bool(missing)

    # -- looking for differences ------------------------------------------------------------------------------

    def compare(self, suspects: Suspects, below: bytes = b"") -> None:
        """List all folders at and below one; whatever does not look as remembered becomes a suspect."""
        self.scope.reread()
        self._compare_all([below], suspects)

    def compare_only(self, folders: frozenset[bytes], suspects: Suspects) -> None:
        """The same for the names directly in these folders, and for folders that are new there."""
        self.scope.reread()
        stack: list[bytes] = []
        for folder in sorted(folders & self.folders.keys()):
            whole = under(real(self.root), folder)
            if not folder or real(whole) == whole:  # else a symlink took its place
                self._compare_folder(folder, suspects, stack, deep=False)
        self._compare_all(stack, suspects)

    def visit(self, folder: bytes, name: bytes, suspects: Suspects) -> None:
        """Something happened to this name: a file becomes a suspect whatever its stat is."""
        stack: list[bytes] = []
        with self._degradation.skipping(join(folder, name)):
            self._visit(folder, name, suspects, stack)
        self._compare_all(stack, suspects)

    def _compare_all(self, stack: list[bytes], suspects: Suspects) -> None:
        while stack:
            self._compare_folder(stack.pop(), suspects, stack)

    def _compare_folder(
        self, folder: bytes, suspects: Suspects, stack: list[bytes], *, deep: bool = True
    ) -> None:
        names = self.folders.setdefault(folder, {})
        self._watch(folder)
        items = self._listing(folder)
        if items is None:
            return
        missing = set(names)
        for item in items:
            name = item.name
            missing.discard(name)
            known = names.get(name)
            if known == IGNORED:
                continue
            with self._degradation.skipping(join(folder, name)):
                if item.is_dir(follow_symlinks=False):
                    if known != FOLDER:
                        self._visit(folder, name, suspects, stack)
                    elif deep:
                        stack.append(join(folder, name))
                elif known is None or known == FOLDER or self._differs(item, known):
                    self._visit(folder, name, suspects, stack)
        for name in missing:
            with self._degradation.skipping(join(folder, name)):
                self._visit(folder, name, suspects, stack)
        self.unreadable.discard(folder)

    def _differs(self, item: os.DirEntry[bytes], known: bytes) -> bool:
        try:
            return signature(item.stat(follow_symlinks=False)) != known[:SIGNATURE_BYTES]
        except OSError:
            return True

    def _visit(self, folder: bytes, name: bytes, suspects: Suspects, stack: list[bytes]) -> None:
        names = self.folders.get(folder)
        if names is None:
            return  # its folder is gone, and everything below with it
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
            suspects[path] = UNSEEN if folder in self.unreadable else None

    def _forget(self, folder: bytes, suspects: Suspects) -> None:
        stack = [folder]
        while stack:
            gone = stack.pop()
            self.repositories.discard(gone)
            self.unreadable.discard(gone)
            if self.watcher:
                self.watcher.drop(gone)
            for name, known in self.folders.pop(gone, {}).items():
                path = join(gone, name)
                if known == FOLDER:
                    stack.append(path)
                elif known != IGNORED:
                    suspects.setdefault(path, known)

    def _enter(self, folder: bytes, name: bytes, *, changed: bool = False) -> bool:
        """Whether this folder is to be listed."""
        path = join(folder, name)
        if self.scope.excludes(path, name):
            if name == b".git" and folder:
                self.repositories.add(folder)
            return False
        inner = path in self.scope.tracked
        if not inner and self._is_git_directory(folder, path):
            return False
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
        if folder in self.unreadable:
            self.unreadable.add(path)
        return True

    def _is_git_directory(self, folder: bytes, path: bytes) -> bool:
        """Whether this folder is, under another name, the `.git` of its parent or of linked worktrees."""
        full = under(self.root, path)
        return is_git_directory(full) and (
            exists(join(full, b"worktrees")) or gitfile_target(under(self.root, folder)) == full
        )

    def _counts(self, folder: bytes, name: bytes, *, changed: bool = False) -> bool:
        """Whether this new file is one that is tracked."""
        path = join(folder, name)
        if self.scope.excludes(path, name):
            if name == b".git" and folder:
                self.repositories.add(folder)
            return False
        if folder in self._partial:
            return False
        if not self.scope.ignores(folder, name, False):
            return True
        self.folders[folder][name] = IGNORED
        if changed:
            self.ignored.changed(path, new=True)
        return False

    def _watch(self, folder: bytes) -> None:
        if self.watcher:
            try:
                self.watcher.add(folder)
            except OSError as error:
                self.watcher = None
                log.warning("no more inotify watches (%s): files are compared one by one", error)

    def _listing(self, folder: bytes) -> list[os.DirEntry[bytes]] | None:
        """The entries of a folder; None when it cannot be read: it is assumed to be unchanged."""
        try:
            with os.scandir(under(self.root, folder)) as items:
                return list(items)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._degradation.note("unreadable", folder, error)
            self.unreadable.add(folder)
            return None
