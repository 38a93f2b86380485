"""The ignore rules of a directory for searches: .gitignore, .ignore and .rgignore files, as ripgrep applies them."""

from __future__ import annotations

import os
from pathlib import Path

from agent_runtime.git.ignore_patterns import Rules, parse
from agent_runtime.lazy import dataclass
from agent_runtime.system.safe_open import read_bounded

_FILES = (".rgignore", ".ignore", ".gitignore")  # an earlier one wins, whichever directory it is in
_NONE = (None,) * len(_FILES)
_MAX_BYTES = 1 << 20  # of such a file; the rest is not read


@dataclass(frozen=True)
class Ignore:
    """The rules that apply in a directory, one chain for each kind of file: its own first, then those above it.

    Attributes:
        folder: the directory.
        rules: the chains. They end at the directory that has a `.git`, as a repository does.
        repository: whether it is in a repository.
        named: it is ignored itself and searched only because its path was given: no rule from above applies.
    """

    folder: Path
    rules: tuple[Rules | None, ...]
    repository: bool
    named: bool = False

    @classmethod
    def at(cls, folder: Path) -> Ignore:
        """Return the rules of a directory, read from it and from those above it."""
        inner: list[Path] = []  # those below the one with the outermost rules
        while not _has_git(folder) and folder != folder.parent:
            inner.append(folder)
            folder = folder.parent
        ignore = cls._of(folder, _NONE, _has_git(folder))
        for one in reversed(inner):
            named = ignore.named or ignore.ignores(one.name, is_folder=True)
            ignore = cls._of(one, _NONE if named else ignore.rules, ignore.repository, named)
        return ignore

    def below(self, name: str) -> Ignore:
        """Return the rules of a directory in this one."""
        inner = self.folder / name
        top = _has_git(inner)
        return self._of(inner, _NONE if top else self.rules, self.repository or top)

    def ignores(self, name: str, *, is_folder: bool) -> bool:
        """Whether this entry of the directory is ignored."""
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
        return read_bounded(file, _MAX_BYTES)[:_MAX_BYTES]
    except OSError:
        return b""
