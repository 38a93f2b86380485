"""Paths as the model writes them and places as the engine knows them, and which of them may be changed."""

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
    same_name,
    walk,
    within,
)


class PathResolver:
    """Finds places from the workspace on; `roots` confine those that may be changed (None: anywhere)."""

    def __init__(self, workspace: Path, roots: Sequence[Path] | None) -> None:
        self.workspace = workspace
        self._base = workspace.resolve()
        self._roots = None if roots is None else [root.resolve() for root in roots]

    def shown(self, real: Path) -> str:
        """A path as the model is told it: relative inside the workspace."""
        inside = real.is_relative_to(self._base) and real != self._base
        return visible(str(real.relative_to(self._base) if inside else real))

    def existing(self, path: str, follow: bool = True) -> Place:
        """A place for reading.

        Where nothing is at the path, the one name there that looks the same to a model.
        """
        place = walk(path, self.workspace, follow=follow)
        if place.lstat() is None and not place.missing and place.dangling is None:
            with place:
                name = same_name(place.name, place.real.parent)
                return walk(
                    os.fspath(place.real.parent / (name or place.name)), self.workspace, follow=follow
                )
        return place

    def changeable(self, path: str, follow: bool, create: bool) -> Place:
        """A place for writing. Raises ToolError when it is outside of the roots, or a link to nothing."""
        place = self.existing(path, follow) if not create else walk(path, self.workspace, follow=follow)
        try:
            if self._roots is not None and not within(place.real, self._roots):
                raise ToolError(f"{path} is outside of the folders that may be changed.")
            if place.dangling is not None and follow:
                raise ToolError(f"{path} is a dangling symlink: nothing is at {visible(place.dangling)}.")
            if create and path.endswith("/") and place.lstat() is None:
                raise ToolError(f"{path} ends in a slash: that is a folder, not a file.")
        except BaseException:
            os.close(place.folder)
            raise
        return place

    def status(self, place: Place, path: str) -> os.stat_result:
        """What is there. Raises ToolError when nothing is."""
        status = place.lstat()
        if status is None:
            raise missing(place, path)
        return status

    def searched(self, path: str) -> Path:
        """A folder or regular file to search, without links in its path."""
        with self.existing(path) as place, explained(path):
            refuse_processes(place.real, path)
            if not stat.S_ISDIR((status := self.status(place, path)).st_mode):
                refuse_special(place.real, status, path)
            return place.real
