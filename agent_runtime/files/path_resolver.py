"""Resolves paths as the model writes them to places, and checks which places may be changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from agent_runtime.errors import ToolError
from agent_runtime.files.line_numbers import visible
from agent_runtime.files.place import Place, explained, missing, refuse_processes, refuse_special, within
from agent_runtime.files.safe_paths import walk
from agent_runtime.files.spellings import spellings

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
        """Return a place for reading: that of the literal path, or where nothing has that name, of another spelling.

        Raises:
            ToolError: as `walk` does, and when several spellings of the path exist.
        """
        with ExitStack() as opened:
            error: ToolError | None = None
            literal: Place | None = None
            try:
                literal = opened.enter_context(self._walk(path, follow))
            except ToolError as reason:  # too long a name, for example
                error = reason
            place = literal
            if literal is None or (literal.dangling is None and literal.lstat() is None):
                place = self._respelled(path, follow, opened) or literal
            if place is None:
                raise error or ToolError(f"{path}: no such file or directory.")
            return replace(place, folder=os.dup(place.folder))

    def _respelled(self, path: str, follow: bool, opened: ExitStack) -> Place | None:
        """Return what exists at another spelling of the path. Raises ToolError when that is more than one place."""
        found: dict[Path, Place] = {}
        for spelling in spellings(path):
            with suppress(ToolError):  # a spelling need not be a valid path
                place = opened.enter_context(self._walk(spelling.path, follow))
                if place.lstat() is not None:
                    found.setdefault(place.real, replace(place, spelling=spelling))
        if len(found) > 1:
            names = " or ".join(sorted(map(self.display_path, found)))
            raise ToolError(f"{path}: nothing has this name; {names} may be meant. Give one of them.")
        return next(iter(found.values()), None)

    def changeable(self, path: str, follow: bool, create: bool) -> Place:
        """Return a place for writing.

        Where the file is created, replaced or deleted as a whole, a path with a line number is refused, and a new file
        never gets quotes, blanks, backslashes or a scheme around its name.

        Args:
            path: the path as the model wrote it.
            follow: follow a symlink; without it the place is for deleting.
            create: the file may be created.

        Raises:
            ToolError: the place is outside of the roots, or a symlink to nothing, or, where a file is to be
                created, the path ends in a slash; and as `existing` does.
        """
        place = self.existing(path, follow)
        try:
            if (create or not follow) and place.spelling and not place.spelling.sure:
                raise _names_a_line(path, place.spelling.path)
            if self._roots is not None and not within(place.real, self._roots):
                raise ToolError(f"{path} is outside of the folders that may be changed.")
            if place.dangling is not None and follow:
                raise ToolError(f"{path} is a dangling symlink: nothing is at {visible(place.dangling)}.")
            if create and path.endswith("/") and place.lstat() is None:
                raise ToolError(f"{path} ends in a slash: that is a directory, not a file.")
            if create and place.spelling is None and place.dangling is None and place.lstat() is None:
                return self._new(path, place)
        except BaseException:
            os.close(place.folder)
            raise
        return place

    def _new(self, path: str, literal: Place) -> Place:
        """Return where a new file goes: `literal`, or the place of the clean path, when that is another."""
        other = spellings(path)
        if located := next((spelling for spelling in other if spelling.is_located), None):
            raise _names_a_line(path, located.path)
        clean = next((spelling for spelling in reversed(other) if spelling.sure), None)
        if clean is None:
            return literal
        place = replace(self.changeable(clean.path, True, True), spelling=clean)
        os.close(literal.folder)
        return place

    def _walk(self, path: str, follow: bool) -> Place:
        return walk(path, self.workspace, follow=follow, home=self._home or Path.home())

    def status(self, place: Place, path: str) -> os.stat_result:
        """Return the status of what is there. Raises ToolError when nothing is."""
        status = place.lstat()
        if status is None:
            raise missing(place, path)
        return status

    def directory(self, path: str) -> Path:
        """Return a directory as a path without symlinks. Raises ToolError when it is not one."""
        with self.existing(path) as place, explained(path):
            if not stat.S_ISDIR(self.status(place, path).st_mode):
                raise ToolError(f"{path} is not a directory.")
            return place.real

    def search_base(self, path: str) -> Path:
        """Return a directory or regular file to search, as a path without symlinks.

        Raises ToolError when it is neither, cannot be read, or is a file of a process.
        """
        with self.existing(path) as place, explained(path):
            refuse_processes(place.real, path)
            if not stat.S_ISDIR((status := self.status(place, path)).st_mode):
                refuse_special(place.real, status, path)
            # otherwise an unreadable file would be reported as one without matches
            os.close(os.open(place.name, _TO_READ, dir_fd=place.folder))
            return place.real


def _names_a_line(path: str, clean: str) -> ToolError:
    return ToolError(
        f"{path}: nothing has this name, and it names more than a file. Nothing was changed. "
        f"Give the path alone: {clean}"
    )
