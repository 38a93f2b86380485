"""Finding what differs from the tree as it was last seen.

Files are not read here, only listed: what looks different is a suspect, and its content decides later (see `ledger`). A
name that cannot be handled is skipped and noted; it does not end the walk.
"""

from __future__ import annotations

import os

from agent_runtime.changes.deadline import Deadline
from agent_runtime.changes.degradation import Degradation
from agent_runtime.changes.entries import IN_GIT, PENDING, SIGNATURE_BYTES, pack_stat, signature
from agent_runtime.changes.tree import FOLDER, IGNORED, Tree
from agent_runtime.git.index import UNVOUCHED, Tracked, oid_of, vouches
from agent_runtime.git.objects import UNKNOWN
from agent_runtime.system.byte_paths import exists, is_folder, join, real, under

# In place of a suspect's entry. LATE: it begins to be tracked, and may have existed before the run. UNSEEN: it did
# exist if it is older than the run, but its folder could not be read.
LATE, UNSEEN = b"?", b"!"

# path -> the packed entry it had; None: it did not exist; LATE or UNSEEN
Suspects = dict[bytes, bytes | None]


class TreeWalk:
    """Lists the folders of a tree.

    Args:
        tree: what was last seen.
        deadline: after it, what is left is listed by the next look.
        degradation: records what cannot be read.
    """

    def __init__(self, tree: Tree, deadline: Deadline, degradation: Degradation) -> None:
        self._tree = tree
        self._deadline = deadline
        self._degradation = degradation
        self._unlisted: list[bytes] = []  # folders that the deadline left

    def first_look(self, tracked: Tracked, written: int) -> None:
        """List everything. `tracked` and `written` are the repository's index and its time."""
        stack = [b""]
        while stack:
            folder = stack.pop()
            self._tree.folders[folder] = {}
            self._tree.watch(folder)
            known = tracked.get(folder, {})
            for item in self._listing(folder) or ():
                with self._degradation.skipping(join(folder, item.name)):
                    if item.is_dir(follow_symlinks=False):
                        if self._tree.enter(folder, item.name):
                            stack.append(join(folder, item.name))
                    else:
                        self._first_entry(folder, item, known.get(item.name), written)

    def _first_entry(self, folder: bytes, item: os.DirEntry[bytes], raw: bytes | None, written: int) -> None:
        if raw is None and not self._tree.counts(folder, item.name):
            return
        try:
            st = item.stat(follow_symlinks=False)
        except OSError:
            return
        vouched = raw is not None and raw != UNVOUCHED
        where = IN_GIT if raw and vouched and vouches(raw, st, written) else PENDING
        packed = pack_stat(st, oid_of(raw) if raw and vouched else UNKNOWN, where)
        if packed[:4] != bytes(4):  # git has no mode for a socket, FIFO or device
            self._tree.folders[folder][item.name] = packed

    # -- looking for differences ------------------------------------------------------------------------------

    def compare(self, suspects: Suspects, below: bytes = b"") -> None:
        """List all folders at and below one; whatever looks different from what is remembered becomes a suspect."""
        self._tree.scope.reread()
        self.compare_folders([below], suspects)

    def compare_only(self, folders: frozenset[bytes], suspects: Suspects) -> None:
        """The same for the names directly in these folders, and for folders that are new there."""
        self._tree.scope.reread()
        stack: list[bytes] = []
        for folder in sorted(folders & self._tree.folders.keys()):
            whole = under(real(self._tree.root), folder)
            if not folder or real(whole) == whole:  # else a symlink took its place
                self._compare_folder(folder, suspects, stack, deep=False)
        self.compare_folders(stack, suspects)

    def visit(self, folder: bytes, name: bytes, suspects: Suspects) -> None:
        """Add a name that something happened to: a file becomes a suspect whatever its stat is."""
        stack: list[bytes] = []
        with self._degradation.skipping(join(folder, name)):
            self._visit(folder, name, suspects, stack)
        self.compare_folders(stack, suspects)

    @property
    def unlisted(self) -> int:
        """The number of folders that the deadline left."""
        return len(self._unlisted)

    def resume(self, suspects: Suspects) -> None:
        """List the folders that the deadline left the last time, as far as they still exist."""
        unlisted, self._unlisted = self._unlisted, []
        known = [folder for folder in unlisted if not folder or self._is_tracked(folder)]
        self.compare_folders(known, suspects)

    def _is_tracked(self, folder: bytes) -> bool:
        above, _, name = folder.rpartition(b"/")
        return self._tree.folders.get(above, {}).get(name) == FOLDER

    def compare_folders(self, stack: list[bytes], suspects: Suspects) -> None:
        """List these folders and what is below them."""
        while stack:
            if self._deadline.passed:
                self._unlisted += stack
                return
            self._compare_folder(stack.pop(), suspects, stack)

    def _compare_folder(
        self, folder: bytes, suspects: Suspects, stack: list[bytes], *, deep: bool = True
    ) -> None:
        """Compare the names in a folder. Adds the folders that are to be listed next to `stack`."""
        names = self._tree.folders.setdefault(folder, {})
        self._tree.watch(folder)
        items = self._listing(folder)
        if items is None:
            return
        missing = set(names)
        for item in items:
            if self._deadline.passed:
                self._unlisted.append(folder)
                return
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
        self._tree.unreadable.discard(folder)

    def _differs(self, item: os.DirEntry[bytes], known: bytes) -> bool:
        try:
            return signature(item.stat(follow_symlinks=False)) != known[:SIGNATURE_BYTES]
        except OSError:
            return True

    def _visit(self, folder: bytes, name: bytes, suspects: Suspects, stack: list[bytes]) -> None:
        names = self._tree.folders.get(folder)
        if names is None:
            return  # its folder is gone, and everything below with it
        path = join(folder, name)
        known = names.get(name)
        full = under(self._tree.root, path)
        folder_now = is_folder(full)
        if known == FOLDER and not folder_now:
            self._forget(path, suspects)
            del names[name]
            known = None
        if known == IGNORED:
            self._tree.ignored.changed(path)
            if not exists(full):
                del names[name]
        elif folder_now:
            if known and known != FOLDER:
                suspects.setdefault(path, known)
            if known == FOLDER or self._tree.enter(folder, name, changed=True):
                stack.append(path)
        elif known or path in suspects or not exists(full):
            if known:
                suspects.setdefault(path, known)
        elif path in self._tree.recalled or self._tree.counts(folder, name, changed=True):
            suspects[path] = UNSEEN if folder in self._tree.unreadable else None

    def _forget(self, folder: bytes, suspects: Suspects) -> None:
        stack = [folder]
        while stack:
            gone = stack.pop()
            self._tree.repositories.discard(gone)
            self._tree.unreadable.discard(gone)
            if self._tree.watcher:
                self._tree.watcher.drop(gone)
            for name, known in self._tree.folders.pop(gone, {}).items():
                path = join(gone, name)
                if known == FOLDER:
                    stack.append(path)
                elif known != IGNORED:
                    suspects.setdefault(path, known)

    # -- listing ----------------------------------------------------------------------------------------------

    def _listing(self, folder: bytes) -> list[os.DirEntry[bytes]] | None:
        """The entries of a folder; None when it cannot be read: it is assumed to be unchanged."""
        try:
            with os.scandir(under(self._tree.root, folder)) as items:
                return list(items)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._degradation.note("unreadable", folder, error)
            self._tree.unreadable.add(folder)
            return None
