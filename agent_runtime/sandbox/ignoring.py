"""What .gitignore files say, in every folder on the way, as git and ripgrep read them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


@dataclass(frozen=True)
class Ignore:
    """The rules in force in a folder: those of its own .gitignore first, then those of the folders around it.

    They end at the folder that holds a `.git`, as a repository does. A folder that is itself left out, and is
    looked into all the same because it was named, is `named`: what the folders around it say counts no more.
    """

    folder: Path
    outer: Ignore | None
    named: bool = False

    @classmethod
    def at(cls, folder: Path) -> Ignore:
        """The rules of a folder, read from it and from those above it."""
        if os.path.lexists(folder / ".git") or folder == folder.parent:
            return cls(folder, None)
        outer = cls.at(folder.parent)
        named = outer.named or outer.ignores(folder.name, is_folder=True)
        return cls(folder, None if named else outer, named)

    def below(self, name: str) -> Ignore:
        """The rules of a folder in this one."""
        inner = self.folder / name
        return Ignore(inner, None if os.path.lexists(inner / ".git") else self)

    def ignores(self, name: str, *, is_folder: bool) -> bool:
        """Is this entry of the folder left out?"""
        rules: Ignore | None = self
        while rules:
            if rules._spec is not None:
                relative = os.path.relpath(self.folder / name, rules.folder) + ("/" if is_folder else "")
                verdict = rules._spec.check_file(relative).include
                if verdict is not None:
                    return verdict
            rules = rules.outer
        return False

    @cached_property
    def _spec(self) -> GitIgnoreSpec | None:
        try:
            text = (self.folder / ".gitignore").read_text("utf-8", "replace")
        except OSError:
            return None
        from pathspec import GitIgnoreSpec

        return GitIgnoreSpec.from_lines(text.removeprefix("\ufeff").splitlines())
