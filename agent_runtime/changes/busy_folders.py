"""The folders that the run works in: where there is no inotify, they are looked at more often than the others."""

from __future__ import annotations

from collections.abc import Iterable

from agent_runtime.changes.tree import Tree

_FOLDERS, _NAMES = 32, 5000  # together a few milliseconds each time they are polled


class BusyFolders:
    """Remembers the folders in which changes were found last.

    Args:
        tree: says how many names a folder has.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._folders: dict[bytes, None] = {b"": None}  # the latest last

    def add(self, folders: Iterable[bytes]) -> None:
        """Note that changes were found in these folders."""
        for folder in folders:
            self._folders.pop(folder, None)
            self._folders[folder] = None
        while len(self._folders) > _FOLDERS:
            del self._folders[next(iter(self._folders))]

    def latest(self) -> frozenset[bytes]:
        """Return the latest ones, as long as they have few names."""
        folders, remaining = set(), _NAMES
        for folder in reversed(self._folders):
            remaining -= len(self._tree.folders.get(folder, ()))
            if remaining >= 0:
                folders.add(folder)
        return frozenset(folders)
