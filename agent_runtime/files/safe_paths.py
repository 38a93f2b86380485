"""From the path a model wrote to a place in the file system that cannot be swapped under our feet.

A path is walked a component at a time, each opened relative to the folder before it and never through a
link: links are read and walked like any other part. What comes out is a descriptor of the folder and a name
in it, so whatever is put in the place of a folder afterwards, the file that was checked is the file that is
used.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import unicodedata
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType

from agent_runtime.errors import ToolError
from agent_runtime.protocol.messages import clean_text

_MAX_LINKS = 40  # as the kernel's own limit
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PROCESS = re.compile(r"/proc/(\d+|self|thread-self)(/|$)")


@dataclass(frozen=True)
class Place:
    """Where a path leads: `name` in the folder open as `folder`. `missing` are folders to be made on the way.

    `real` is the absolute path without links; `dangling` is where a link pointed when it pointed at nothing.
    """

    real: Path
    folder: int
    name: str
    missing: tuple[str, ...] = ()
    dangling: str | None = None

    def lstat(self) -> os.stat_result | None:
        """What is there now; None when nothing is."""
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


def walk(path: str, base: Path, *, follow: bool = True) -> Place:
    """Where `path` leads, from `base` when it is relative. The last component may be missing; `follow`: be
    it a link.

    Raises ToolError when a component is no folder, when links go in circles, or when the path is no path.
    """
    return _Walk(os.fspath(base / _checked(path)), path).run(follow)


def within(real: Path, roots: Sequence[Path]) -> bool:
    """Is this path (without links) one of the roots, or below one?"""
    return any(real == root or root in real.parents for root in roots)


@contextmanager
def explained(path: object) -> Iterator[None]:
    """Operating system errors as errors for the model."""
    try:
        yield
    except OSError as error:
        raise ToolError(f"{path}: {(error.strerror or str(error)).lower()}") from error


def refuse_special(real: Path, status: os.stat_result, shown: str) -> None:
    """Raises ToolError for what is no regular file, and for what /proc tells of processes (keys among it)."""
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
            raise ToolError(f"{shown} is {kind}, not a regular file")
    refuse_processes(real, shown)


def refuse_processes(real: Path, shown: str) -> None:
    """The runtime may read of processes what the tools' own user may not: that is left to the shell."""
    if _PROCESS.match(f"{real}"):
        raise ToolError(f"{shown}: files of processes are not read here; use the shell")


def _checked(path: str) -> str:
    if not path or not path.strip():
        raise ToolError("the path is empty")
    if "\0" in path:
        raise ToolError("the path has a NUL character in it")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise ToolError("the path has half a character (a lone surrogate) in it") from None
    if path == "~" or path.startswith("~/"):
        return str(Path.home()) + path[1:]
    return path


class _Walk:
    def __init__(self, path: str, shown: str) -> None:
        self.shown = shown
        self.queue = deque(path.split("/"))
        self.folders: list[tuple[int, str]] = [(os.open("/", _FOLDER), "")]
        self.links = 0
        self.link_end = -1  # what the queue holds when the last link's own parts are used up
        self.link_text: str | None = None

    def run(self, follow: bool) -> Place:
        try:
            return self._run(follow)
        except BaseException:
            self._leave(0)
            raise

    def _run(self, follow: bool) -> Place:
        while self.queue:
            part = self.queue.popleft()
            if part in ("", "."):
                continue
            if part == "..":
                if len(self.folders) > 1:
                    self._leave(len(self.folders) - 1)
                continue
            last = not any(rest not in ("", ".") for rest in self.queue)
            if (follow or not last) and (target := self._readlink(part)) is not None:
                self._follow(target)
            elif last:
                return self._place((), part)
            elif missing := self._enter(part):
                return self._place(*missing)
        fd, name = self.folders.pop()
        os.close(fd)
        if not self.folders:  # the root: in itself
            self.folders = [(os.open("/", _FOLDER), "")]
            return self._place((), ".")
        return self._place((), name)

    def _readlink(self, part: str) -> str | None:
        try:
            return os.readlink(part, dir_fd=self.folders[-1][0])
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:  # no link
                return None
            raise ToolError(f"{self.shown}: {(error.strerror or '').lower()}") from error

    def _follow(self, target: str) -> None:
        self.links += 1
        if self.links > _MAX_LINKS:
            raise ToolError(f"{self.shown}: too many levels of symlinks")
        self.link_end, self.link_text = len(self.queue), target
        if target.startswith("/"):
            self._leave(1)
        self.queue.extendleft(reversed(target.split("/")))

    def _enter(self, part: str) -> tuple[tuple[str, ...], str] | None:
        """Go into a folder; where there is none, what is missing on the way, and the name at its end."""
        try:
            self.folders.append((os.open(part, _FOLDER, dir_fd=self.folders[-1][0]), part))
            return None
        except FileNotFoundError:
            rest = [other for other in self.queue if other not in ("", ".")]
            if ".." in rest:
                raise ToolError(f"{self.shown}: no such file or directory: {part}") from None
            return (part, *rest[:-1]), rest[-1]
        except NotADirectoryError:
            raise ToolError(f"{self.shown}: {part} is not a directory") from None
        except OSError as error:
            raise ToolError(f"{self.shown}: {(error.strerror or '').lower()}") from error

    def _place(self, missing: tuple[str, ...], name: str) -> Place:
        real = self._real(*missing, name) if name != "." else Path("/")
        in_link = self.link_text is not None and len(self.queue) >= self.link_end
        folder = os.dup(self.folders[-1][0])
        self._leave(0)
        place = Place(real, folder, name, missing)
        if in_link and place.lstat() is None:
            return Place(real, folder, name, missing, self.link_text)
        return place

    def _real(self, *names: str) -> Path:
        return Path("/", *(name for _, name in self.folders if name), *names)

    def _leave(self, keep: int) -> None:
        while len(self.folders) > keep:
            os.close(self.folders.pop()[0])


def same_name(wanted: str, folder: Path) -> str | None:
    """The one entry of a folder that a model can only have meant by this name.

    Names that are not UTF-8 reach the model with U+FFFD in them, composed and decomposed letters and odd
    spaces look alike to it. None when no entry is meant, or more than one.
    """
    try:
        close = [entry.name for entry in folder.iterdir() if _looks(entry.name) == _looks(wanted)]
    except OSError:
        return None
    return close[0] if len(close) == 1 else None


def _looks(name: str) -> str:
    return re.sub(r"[\u00a0\u2000-\u200a\u202f]", " ", unicodedata.normalize("NFC", clean_text(name)))


def missing(place: Place, shown: str) -> ToolError:
    """Nothing is there: what may have been meant."""
    if place.dangling is not None:
        return ToolError(f"{shown} is a dangling symlink: nothing is at {clean_text(place.dangling)}.")
    if place.missing:
        return ToolError(
            f"{shown}: no such file; there is no folder {place.missing[0]} in "
            f"{place.real.parents[len(place.missing)]}."
        )
    try:
        close = get_close_matches(place.name, [entry.name for entry in place.real.parent.iterdir()], 3)
    except OSError:
        close = []
    hint = f" Close to it: {', '.join(map(clean_text, close))}." if close else ""
    return ToolError(f"{shown}: no such file or directory.{hint}")
