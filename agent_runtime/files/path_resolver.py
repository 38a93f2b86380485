"""Paths as the model writes them, resolved to places, and the check of which places may be changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from agent_runtime.errors import ToolError
from agent_runtime.files.line_numbers import visible
from agent_runtime.files.safe_paths import (
    Place,
    explained,
    missing,
    refuse_processes,
    refuse_special,
    walk,
    within,
)

_TO_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class PathResolver:
    """Resolves paths from the workspace on, by the same rules for every tool.

    Args:
        workspace: where relative paths begin.
        roots: directories below which places may be changed; None: anywhere.
        home: what `~` stands for; None: the home directory of this process.
    """

    def __init__(self, workspace: Path, roots: Sequence[Path] | None, home: Path | None = None) -> None:
        self.workspace = workspace
        self._home = home
        self._base = workspace.resolve()
        self._roots = None if roots is None else [root.resolve() for root in roots]

    def display_path(self, real: Path) -> str:
        """A path as the model sees it: relative inside the workspace."""
        inside = real.is_relative_to(self._base) and real != self._base
        return visible(str(real.relative_to(self._base) if inside else real))

    def existing(self, path: str, follow: bool = True) -> Place:
        """Return a place for reading. Raises ToolError as `walk` does."""
        return walk(path, self.workspace, follow=follow, home=self._home or Path.home())

    def changeable(self, path: str, follow: bool, create: bool) -> Place:
        """Return a place for writing.

        Raises:
            ToolError: the place is outside of the roots, or a symlink to nothing, or, where a file is to be
                created, the path ends in a slash; and as `walk` does.
        """
        place = self.existing(path, follow)
        try:
            if self._roots is not None and not within(place.real, self._roots):
                raise ToolError(f"{path} is outside of the folders that may be changed.")
            if place.dangling is not None and follow:
                raise ToolError(f"{path} is a dangling symlink: nothing is at {visible(place.dangling)}.")
            if create and path.endswith("/") and place.lstat() is None:
                raise ToolError(f"{path} ends in a slash: that is a directory, not a file.")
        except BaseException:
            os.close(place.folder)
            raise
        return place

    def status(self, place: Place, path: str) -> os.stat_result:
        """Return the status of what is there. Raises ToolError when nothing is."""
        status = place.lstat()
        if status is None:
            raise missing(place, path)
        return status

    def search_base(self, path: str) -> Path:
        """Return a directory or regular file to search, as a path without symlinks.

        Raises ToolError when it is neither, cannot be read, or is a file of a process.
        """
        with self.existing(path) as place, explained(path):
            refuse_processes(place.real, path)
            if not stat.S_ISDIR((status := self.status(place, path)).st_mode):
                refuse_special(place.real, status, path)
            # an unreadable file has no matches, which must not be taken for an answer
            os.close(os.open(place.name, _TO_READ, dir_fd=place.folder))
            return place.real
