"""From the path a model wrote to a place in the file system that cannot be replaced in the meantime.

A path is walked one component at a time, each opened relative to the directory before it and never through a
symlink: symlinks are read, and their text is walked like the rest. The result is a descriptor of the directory and
a name in it, so the file that was checked is the file that is used, whatever is renamed afterwards.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from agent_runtime.errors import ToolError
from agent_runtime.files.names import close_names, look_alikes
from agent_runtime.protocol.messages import clean_text

_MAX_LINKS = 40  # the kernel's own limit
_MAX_COMPONENTS = 200  # of a path; a descriptor is open for each
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PROCESS = re.compile(r"/proc/(\d+|self|thread-self)(/|$)")


@dataclass(frozen=True)
class Place:
    """Where a path leads: `name` in the directory open as `folder`.

    `real` is the absolute path without symlinks. `missing` are the directories between `folder` and `name` that do
    not exist yet. `dangling` is the text of the symlink that led here when nothing is here.
    """

    real: Path
    folder: int
    name: str
    missing: tuple[str, ...] = ()
    dangling: str | None = None

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


def walk(path: str, base: Path, *, follow: bool = True, home: Path | None = None) -> Place:
    """Return where `path` leads, from `base` when it is relative, from `home` when it begins with `~`.

    A component that is not there stands for the one entry that looks the same to a model, if there is exactly one.
    The last components may be missing. With `follow` a symlink in the last component is followed.

    Raises:
        ToolError: a component is not a directory, several entries look like a component that is not there,
            symlinks form a loop, or the path is empty or not valid.
    """
    checked = _checked(path)
    if home is not None and checked.split("/")[0] == "~":
        checked = f"{home}{checked[1:]}"
    return _Walk(os.fspath(base / checked), path).run(follow)


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


def _checked(path: str) -> str:
    if not path or not path.strip():
        raise ToolError("the path is empty")
    if "\0" in path:
        raise ToolError("the path has a NUL character in it")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise ToolError("the path has half a character (a lone surrogate) in it") from None
    if sum(name not in ("", ".") for name in path.split("/")) > _MAX_COMPONENTS:
        raise ToolError(f"the path has more than {_MAX_COMPONENTS} components")
    return path


class _Walk:
    def __init__(self, path: str, display: str) -> None:
        self.display = display
        self.queue = deque(path.split("/"))
        self.folders: list[tuple[int, str]] = [(os.open("/", _FOLDER), "")]
        self.links = 0
        self.link_end = 0  # length of the queue without the components of the last symlink
        self.link_text: str | None = None

    def run(self, follow: bool) -> Place:
        try:
            return self._run(follow)
        except BaseException:
            self._leave(0)
            raise

    def _run(self, follow: bool) -> Place:
        while self.queue:
            component = self.queue.popleft()
            if component in ("", "."):
                continue
            if component == "..":
                if len(self.folders) > 1:
                    self._leave(len(self.folders) - 1)
                continue
            last = not any(rest not in ("", ".") for rest in self.queue)
            name = self._meant(component)
            if (follow or not last) and (target := self._readlink(name)) is not None:
                self._follow(target)
            elif last:
                return self._place((), name)
            elif missing := self._enter(name):
                return self._place(*missing)
        fd, name = self.folders.pop()
        os.close(fd)
        if not self.folders:  # the root directory, which is in no other
            self.folders = [(os.open("/", _FOLDER), "")]
            return self._place((), ".")
        return self._place((), name)

    def _meant(self, component: str) -> str:
        """The entry that a component stands for: that of this name, or the one that looks the same."""
        folder = self.folders[-1][0]
        try:
            os.stat(component, dir_fd=folder, follow_symlinks=False)
            return component
        except FileNotFoundError:
            if self._in_link():  # a symlink's text is exact
                return component
        except OSError as error:
            raise ToolError(f"{self.display}: {(error.strerror or '').lower()}") from error
        similar = look_alikes(component, folder)
        if len(similar) > 1:
            raise ToolError(
                f"{self.display}: {len(similar)} names in {self._real()} look like {clean_text(component)}, and none "
                "is exactly that. Use the shell to rename one of them."
            )
        return similar[0] if similar else component

    def _in_link(self) -> bool:
        return self.link_text is not None and len(self.queue) >= self.link_end

    def _readlink(self, name: str) -> str | None:
        try:
            return os.readlink(name, dir_fd=self.folders[-1][0])
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:  # not a symlink
                return None
            raise ToolError(f"{self.display}: {(error.strerror or '').lower()}") from error

    def _follow(self, target: str) -> None:
        self.links += 1
        if self.links > _MAX_LINKS:
            raise ToolError(f"{self.display}: too many levels of symlinks")
        self.link_end, self.link_text = len(self.queue), target
        if target.startswith("/"):
            self._leave(1)
        self.queue.extendleft(reversed(target.split("/")))

    def _enter(self, name: str) -> tuple[tuple[str, ...], str] | None:
        """Go into a directory. When it does not exist, return the missing directories and the name after them."""
        try:
            self.folders.append((os.open(name, _FOLDER, dir_fd=self.folders[-1][0]), name))
            return None
        except FileNotFoundError:
            rest = [other for other in self.queue if other not in ("", ".")]
            if ".." in rest:
                raise ToolError(f"{self.display}: no such file or directory: {name}") from None
            return (name, *rest[:-1]), rest[-1]
        except NotADirectoryError:
            raise ToolError(f"{self.display}: {name} is not a directory") from None
        except OSError as error:
            raise ToolError(f"{self.display}: {(error.strerror or '').lower()}") from error

    def _place(self, missing: tuple[str, ...], name: str) -> Place:
        real = self._real(*missing, name) if name != "." else Path("/")
        in_link = self._in_link()
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


def missing(place: Place, display: str) -> ToolError:
    """Return the error for a path at which nothing is, with the names that may have been meant."""
    if place.dangling is not None:
        return ToolError(f"{display} is a dangling symlink: nothing is at {clean_text(place.dangling)}.")
    if place.missing:
        return ToolError(
            f"{display}: no such file; there is no folder {place.missing[0]} in "
            f"{place.real.parents[len(place.missing)]}."
        )
    close = close_names(place.name, place.folder)
    hint = f" Close to it: {', '.join(map(clean_text, close))}." if close else ""
    return ToolError(f"{display}: no such file or directory.{hint}")
