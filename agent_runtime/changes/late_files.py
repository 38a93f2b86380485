"""Files that begin to be tracked during the run: git tracks them now, or no rule ignores them any more."""

from __future__ import annotations

from agent_runtime.changes.tree import IGNORED, Tree
from agent_runtime.changes.tree_walk import LATE, UNSEEN, Suspects, TreeWalk
from agent_runtime.git.index import Tracked
from agent_runtime.system.byte_paths import base, exists, is_folder, join, under


class LateFiles:
    """Adds such files to the tree; each is a suspect, LATE or UNSEEN.

    Args:
        tree: the tree.
        walk: lists its folders.
    """

    def __init__(self, tree: Tree, walk: TreeWalk) -> None:
        self._tree = tree
        self._walk = walk

    def add_repository(self, folder: bytes, tracked: Tracked) -> Suspects:
        """Track the ignored files that the repository of this folder tracks, and return them."""
        late: Suspects = {}
        for inner, names in tracked.items():
            self._add_tracked(join(folder, inner) if folder and inner else folder or inner, names, late)
        return late

    def _add_tracked(self, folder: bytes, names: dict[bytes, bytes], late: Suspects) -> None:
        here = self._tree.folders.get(folder)
        if here is not None and folder not in self._tree.partial:
            new = [name for name in names if here.get(name) == IGNORED]
        else:
            new = [name for name in names if len((here or {}).get(name, IGNORED)) <= 1]
        for name in new:
            path = join(folder, name)
            full = under(self._tree.root, path)
            if exists(full) and not is_folder(full) and self._open(folder):
                late[path] = self._end_ignoring(folder, name)
                self._tree.recalled.add(path)

    def _end_ignoring(self, folder: bytes, name: bytes) -> bytes:
        """LATE or UNSEEN, for a file."""
        path = join(folder, name)
        known = self._tree.folders[folder].get(name) == IGNORED
        if known:
            del self._tree.folders[folder][name]
        existed = self._tree.ignored.existed(path) if known else self._tree.ignored.contained(path)
        self._tree.ignored.forget(path)
        return UNSEEN if existed else LATE

    def _open(self, folder: bytes) -> bool:
        """Track a folder that was ignored, for what git tracks in it. False when it is not one."""
        missing = self._tree.untracked_folders(folder)
        for path in missing:
            if not is_folder(under(self._tree.root, path)) or self._tree.scope.excludes(path, base(path)):
                return False
        self._tree.track_folders(missing)
        self._tree.partial.update(missing)
        return True

    def no_longer_ignored(self) -> Suspects:
        """The files that were ignored, and are not by the present rules."""
        late: Suspects = {}
        for folder, names in list(self._tree.folders.items()):
            if folder in self._tree.partial:
                if self._still_ignored(folder):
                    continue
                self._tree.partial.discard(folder)
                self._compare_late(folder, late)
            for name in [name for name, known in names.items() if known == IGNORED]:
                path = join(folder, name)
                inside = is_folder(under(self._tree.root, path))
                if self._tree.scope.ignores(folder, name, inside):
                    continue
                old = self._end_ignoring(folder, name)
                if not inside:
                    late[path] = old
                elif self._tree.enter(folder, name, changed=True):
                    self._compare_late(path, late)
        return late

    def _compare_late(self, folder: bytes, late: Suspects) -> None:
        found: Suspects = {}
        self._walk.compare_folders([folder], found)
        for path, old in found.items():
            late[path] = old or (UNSEEN if self._tree.ignored.contained(path) else LATE)

    def _still_ignored(self, folder: bytes) -> bool:
        above, _, name = folder.rpartition(b"/")
        return above in self._tree.partial or self._tree.scope.ignores(above, name, True)
