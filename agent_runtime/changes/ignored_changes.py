"""Changes in ignored places, without listing them: a lower bound, by top folder."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from typing import Any

from agent_runtime.git.ignore_patterns import HEAVY
from agent_runtime.system.byte_paths import join, under

_REMEMBERED = 10_000  # paths


class IgnoredChanges:
    """Counts what is cheap to find: by the time of a folder, the names in it, and files beside tracked ones."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        # mtime in ns when it was first seen; -1: it was not there before
        self._folders: dict[bytes, int] = {}
        self._changed: set[bytes] = set()
        self._new: set[bytes] = set()
        self._inside: set[bytes] = set()  # files in ignored folders when the run began

    def folder(self, path: bytes, *, changed: bool) -> None:
        """Note an ignored folder; `changed` when it is new."""
        if not changed and path not in self._folders:
            self._list(path)
        self._folders.setdefault(path, -1 if changed else self._mtime(path))

    def forget(self, path: bytes) -> None:
        """Forget a name that is not ignored any more."""
        self._folders.pop(path, None)
        self._changed.discard(path)

    def existed(self, path: bytes) -> bool:
        """Whether an ignored name existed when the run began."""
        return path not in self._new

    def contained(self, path: bytes) -> bool:
        """Whether this file was in an ignored folder when the run began, as far as those were listed."""
        return path in self._inside

    def changed(self, path: bytes, *, new: bool = False) -> None:
        """Note that something happened to an ignored name; `new`: it was created."""
        if new and len(self._new) < _REMEMBERED:
            self._new.add(path)
        if len(self._changed) < _REMEMBERED:
            self._changed.add(path)

    def summary(self) -> dict[str, Any] | None:
        """Return `{"atLeast": 12, "folders": {"node_modules": 11, ".": 1}}`; None when nothing changed."""
        counts: Counter[str] = Counter()
        for path in self._changed - self._folders.keys():
            counts[_top(path)] += 1
        for path, before in self._folders.items():
            if self._mtime(path) != before:
                counts[_top(path + b"/")] += self._names(path, before)
        return {"atLeast": counts.total(), "folders": dict(sorted(counts.items()))} if counts else None

    def _list(self, folder: bytes) -> None:
        """Remember the files below it, except those of folders that hold thousands."""
        stack = [folder]
        while stack and len(self._inside) < _REMEMBERED:
            here = stack.pop()
            if here.rpartition(b"/")[2] in HEAVY:
                continue
            with suppress(OSError), os.scandir(under(self._root, here)) as items:
                for item in items:
                    path = join(here, item.name)
                    if item.is_dir(follow_symlinks=False):
                        stack.append(path)
                    elif len(self._inside) < _REMEMBERED:
                        self._inside.add(path)

    def _mtime(self, path: bytes) -> int:
        try:
            return os.lstat(under(self._root, path)).st_mtime_ns
        except OSError:
            return -1

    def _names(self, path: bytes, since: int) -> int:
        """The number of names directly in it that changed after that time; at least the folder itself."""
        count = 0
        try:
            with os.scandir(under(self._root, path)) as items:
                for item in items:
                    count += item.stat(follow_symlinks=False).st_ctime_ns > since
                    if count >= _REMEMBERED:
                        break
        except OSError:
            pass
        return max(count, 1)


def _top(path: bytes) -> str:
    top, slash, _ = path.partition(b"/")
    return top.decode(errors="replace") if slash else "."
