"""The effect of a run: which files differ from what they were at its beginning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent_runtime.changes.deadline import Deadline
from agent_runtime.changes.entries import is_same
from agent_runtime.lazy import dataclass


@dataclass(frozen=True)
class NetChanges:
    """The lists of `complete`: paths absolute and sorted.

    `ignored` is `{"atLeast": n, "folders": {top folder: n}}` for changes in ignored places, None without any.
    """

    files: tuple[str, ...] = ()
    deleted_files: tuple[str, ...] = ()
    ignored: dict[str, Any] | None = None


class FirstEntries:
    """What each path that ever changed was at the beginning, as a packed entry; None: no file."""

    def __init__(self) -> None:
        self._entries: dict[bytes, bytes | None] = {}

    def remember(self, path: bytes, entry: bytes | None) -> None:
        """Remember what a path was before its first change."""
        self._entries.setdefault(path, entry)

    def __contains__(self, path: object) -> bool:
        return path in self._entries

    def differing(
        self, now: Callable[[bytes], bytes | None], deadline: Deadline
    ) -> tuple[list[bytes], list[bytes]]:
        """Return the paths that are created or modified and still there, and those that are gone.

        Args:
            now: returns the packed entry that a path has now.
            deadline: after it, every path that ever changed counts.
        """
        files: list[bytes] = []
        gone: list[bytes] = []
        for path, first in self._entries.items():
            entry = now(path)
            if entry is None:
                if first is not None:
                    gone.append(path)
            elif deadline.passed or not is_same(entry, first):
                files.append(path)
        return files, gone
