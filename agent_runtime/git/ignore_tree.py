"""What .gitignore files say, and .ignore and .rgignore over them, as ripgrep reads them."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from agent_runtime.git.ignore_patterns import Rules, parse

_FILES = (".rgignore", ".ignore", ".gitignore")  # what an earlier one says counts, wherever it lies
_NONE = (None,) * len(_FILES)
_MOST = 1 << 20  # bytes of such a file


@dataclass(frozen=True)
class Ignore:
    """The rules in force in a folder, by kind of file: its own first, then those of the folders around it.

    They end at the folder that holds a `.git`, as a repository does. A folder that is itself left out, and is
    looked into all the same because it was named, is `named`: what the folders around it say counts no more.
    `repository`: is it in one?
    """

    folder: Path
    rules: tuple[Rules | None, ...]
    repository: bool
    named: bool = False

    @classmethod
    def at(cls, folder: Path) -> Ignore:
        """The rules of a folder, read from it and from those above it."""
        if _has_git(folder) or folder == folder.parent:
            return cls._of(folder, _NONE, _has_git(folder))
        outer = cls.at(folder.parent)
        named = outer.named or outer.ignores(folder.name, is_folder=True)
        return cls._of(folder, _NONE if named else outer.rules, outer.repository, named)

    def below(self, name: str) -> Ignore:
        """The rules of a folder in this one."""
        inner = self.folder / name
        top = _has_git(inner)
        return self._of(inner, _NONE if top else self.rules, self.repository or top)

    def ignores(self, name: str, *, is_folder: bool) -> bool:
        """Is this entry of the folder left out?"""
        bare = os.fsencode(name)
        for rules in self.rules:
            verdict = rules.ignores(_base(self.folder) + bare, bare, is_folder) if rules else None
            if verdict is not None:
                return verdict
        return False

    @classmethod
    def _of(
        cls, folder: Path, above: tuple[Rules | None, ...], repository: bool, named: bool = False
    ) -> Ignore:
        own = (
            parse(_text(folder / name), _base(folder), rules)
            for name, rules in zip(_FILES, above, strict=True)
        )
        return cls(folder, tuple(own), repository, named)


def _has_git(folder: Path) -> bool:
    return os.path.lexists(folder / ".git")


def _base(folder: Path) -> bytes:
    return os.fsencode(folder).strip(b"/") + b"/" if folder != folder.parent else b""


def _text(file: Path) -> bytes:
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, _MOST) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    finally:
        os.close(fd)
