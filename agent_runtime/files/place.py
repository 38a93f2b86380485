"""Places in the file system, and what is refused there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from agent_runtime.errors import ToolError
from agent_runtime.files.names import close_names
from agent_runtime.files.spellings import Spelling
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.protocol.messages import clean_text

_PROCESS = lazy_pattern(r"/proc/(\d+|self|thread-self)(/|$)")


@dataclass(frozen=True)
class Place:
    """Where a path leads: `name` in the directory open as `folder`.

    `real` is the absolute path without symlinks. `missing` are the directories between `folder` and `name` that do
    not exist yet. `dangling` is the text of the symlink that led here when nothing is here. `spelling` is how the path
    was read when nothing has the name that was given.
    """

    real: Path
    folder: int
    name: str
    missing: tuple[str, ...] = ()
    dangling: str | None = None
    spelling: Spelling | None = None

    @property
    def note(self) -> str:
        """A line about how the path was read, for the end of a message; empty when it was taken literally."""
        return f"\n[nothing has the given name: it was read as {self.spelling.path}]" if self.spelling else ""

    def lstat(self) -> os.stat_result | None:
        """Return the status of what is there now; None when nothing is."""
        if self.missing:
            return None
        try:
            return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        os.close(self.folder)


def within(real: Path, roots: Sequence[Path]) -> bool:
    """Return whether this path, which has no symlinks in it, is one of the roots or below one."""
    return any(real == root or root in real.parents for root in roots)


@contextmanager
def explained(path: object) -> Iterator[None]:
    """Raise operating system errors as ToolError, with the path in front."""
    try:
        yield
    except OSError as error:
        raise ToolError(f"{path}: {(error.strerror or str(error)).lower()}") from error


def refuse_special(real: Path, status: os.stat_result, display: str) -> None:
    """Raise ToolError for what is not a regular file, and for files in /proc that describe processes."""
    kinds = {
        stat.S_ISDIR: "a directory",
        stat.S_ISFIFO: "a FIFO (named pipe)",
        stat.S_ISCHR: "a character device",
        stat.S_ISBLK: "a block device",
        stat.S_ISSOCK: "a socket",
        stat.S_ISLNK: "a symlink",
    }
    for test, kind in kinds.items():
        if test(status.st_mode):
            raise ToolError(f"{display} is {kind}, not a regular file")
    refuse_processes(real, display)


def refuse_processes(real: Path, display: str) -> None:
    """Raise ToolError for files of processes: the runtime can read more of them than the user of the tools."""
    if _PROCESS.match(f"{real}"):
        raise ToolError(f"{display}: files of processes are not read here; use the shell")


def missing(place: Place, display: str) -> ToolError:
    """Return the error for a path that does not exist, with the names that may have been meant."""
    if place.dangling is not None:
        return ToolError(f"{display} is a dangling symlink: nothing is at {clean_text(place.dangling)}.")
    if place.missing:
        return ToolError(
            f"{display}: no such file; there is no folder {place.missing[0]} in "
            f"{place.real.parents[len(place.missing)]}."
        )
    close = close_names(place.name, place.folder)
    hint = f" Similar names: {', '.join(map(clean_text, close))}." if close else ""
    return ToolError(f"{display}: no such file or directory.{hint}")
