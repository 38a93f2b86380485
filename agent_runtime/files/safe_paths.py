"""From the path a model wrote to a place in the file system that cannot be replaced in the meantime.

A path is walked one component at a time, each opened relative to the directory before it and never through a
symlink: symlinks are read, and their text is walked like the rest. The result is a descriptor of the directory and
a name in it, so the file that was checked is the file that is used, whatever is renamed afterwards.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from pathlib import Path

from agent_runtime.errors import ToolError
from agent_runtime.files.names import look_alikes
from agent_runtime.files.place import Place
from agent_runtime.protocol.messages import clean_text

_MAX_LINKS = 40  # the kernel's own limit
_MAX_COMPONENTS = 200  # of a path; a descriptor is open for each
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


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


def _checked(path: str) -> str:
    if not path or not path.strip():
        raise ToolError("the path is empty")
    if "\0" in path:
        raise ToolError("the path has a NUL character in it")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise ToolError("the path contains half a character (a lone surrogate) in it") from None
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
