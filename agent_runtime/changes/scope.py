"""What belongs to the tree that is tracked: the ignore rules of each folder, read when first asked for.

A path is judged when it is first seen, and stays what it was found to be: a `.gitignore` that changes during
a run counts for names that are new since then.
"""

from __future__ import annotations

from agent_runtime.git.ignore_patterns import HEAVY, Rules, parse
from agent_runtime.git.repository import Repository
from agent_runtime.system.byte_paths import exists, join, parent, read_file, under

_UNFINISHED = b".agent-runtime-"  # how the edit tools name a file that they will rename in a moment


class Scope:
    """Judges names. `everything`: nothing but `.git` is left out.

    Args:
        root: the workspace.
        repository: the repository that it is (in), if any.
        tracked: folders (relative) with files that git tracks below them; never left out whole.
        exclude: paths (relative) that are no part of the tree at all: the runtime's own.
        everything: see above.
    """

    def __init__(
        self,
        root: bytes,
        repository: Repository | None,
        tracked: frozenset[bytes] = frozenset(),
        *,
        exclude: frozenset[bytes] = frozenset(),
        everything: bool = False,
    ) -> None:
        self._root = root
        self._exclude = exclude
        self._prefix = repository.prefix if repository else b""
        self._top = repository.top if repository else root
        self._excludes = repository.excludes if repository else ()
        self.tracked = tracked
        self._everything = everything
        self._rules: dict[bytes, Rules | None] = {}

    def excludes(self, path: bytes, name: bytes) -> bool:
        """Is it no part of the tree: a repository's own files, or the runtime's?"""
        return name == b".git" or name.startswith(_UNFINISHED) or path in self._exclude

    def ignores(self, folder: bytes, name: bytes, is_folder: bool) -> bool:
        """Is this name in this folder to be left out?"""
        if self._everything:
            return False
        path = join(folder, name)
        rules = self._rules_of(folder)
        verdict = rules.ignores(self._prefix + path, name, is_folder) if rules else None
        if verdict is None:
            return is_folder and name in HEAVY and path not in self.tracked
        return verdict

    def reread(self) -> None:
        """A `.gitignore` has changed."""
        self._rules.clear()

    def _rules_of(self, folder: bytes) -> Rules | None:
        if folder in self._rules:
            return self._rules[folder]
        if not folder:
            rules = self._of_root()
        else:
            here = under(self._root, folder)
            base = self._prefix + folder + b"/"
            nested = exists(under(here, b".git"))  # a repository of its own begins here
            above = self._of_user(base) if nested else self._rules_of(parent(folder))
            rules = _read(here, base, above)
        self._rules[folder] = rules
        return rules

    def _of_root(self) -> Rules | None:
        rules = self._of_user(b"")
        for file in self._excludes[:1]:
            rules = parse(read_file(file), b"", rules)
        rules = _read(self._top, b"", rules)
        above = b""
        for part in self._prefix.split(b"/")[:-1]:
            above += part + b"/"
            rules = _read(under(self._top, above), above, rules)
        return rules

    def _of_user(self, base: bytes) -> Rules | None:
        rules: Rules | None = None
        for file in self._excludes[1:]:
            rules = parse(read_file(file), base, rules)
        return rules


def _read(folder: bytes, base: bytes, above: Rules | None) -> Rules | None:
    return parse(read_file(under(folder, b".gitignore")), base, above)
