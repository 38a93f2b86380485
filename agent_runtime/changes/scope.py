"""What belongs to the tracked tree: the ignore rules of each directory, read when first needed.

The rules are git's. Where no rule matches a name, directories that tools fill with thousands of files are left out
too, so that installing packages does not report each of their files.
"""

from __future__ import annotations

import os
import re

from agent_runtime.git.ignore_patterns import HEAVY, Rules, parse
from agent_runtime.git.repository import Repository, nested
from agent_runtime.lazy import lazy_pattern
from agent_runtime.system.byte_paths import exists, join, parent, read_file, read_followed, under

# How the edit tools name a file that they are about to rename.
_TEMPORARY = lazy_pattern(rb"\.agent-runtime-[0-9a-f]{16}")

# Names of generated directories that are common names of sources too: in a repository, where git would show them, one
# of these files inside or beside must confirm them.
_EVIDENCE = {
    b"target": (b"target/CACHEDIR.TAG", b"Cargo.toml", b"pom.xml", b"build.sbt"),
    b"venv": (b"venv/pyvenv.cfg",),
    b".cache": (b".cache/CACHEDIR.TAG",),
    b".yarn": (),
}
_NEGATED = lazy_pattern(rb"^!(.*)$", re.M)


class Scope:
    """Judges names.

    Args:
        root: the workspace.
        repository: the repository that it is (in), if any.
        exclude: paths (relative) of files of the runtime, which are never part of the tree.
        everything: only `.git` and `exclude` are left out.

    Attributes:
        tracked: directories (relative) with files below them that git tracks; never left out as a whole.
    """

    def __init__(
        self,
        root: bytes,
        repository: Repository | None,
        *,
        exclude: frozenset[bytes] = frozenset(),
        everything: bool = False,
    ) -> None:
        self._root = root
        self._exclude = exclude
        self._repository = repository
        self._prefix = repository.prefix if repository else b""
        self._top = repository.top if repository else root
        self._excludes = repository.excludes if repository else ()
        self._everything = everything
        self._rules: dict[bytes, _FolderRules] = {}
        self._user_files = self._stat_user_files()
        self.tracked: set[bytes] = set()

    def excludes(self, path: bytes, name: bytes) -> bool:
        """Whether it is never part of the tree: a repository's own files, or the runtime's."""
        return name == b".git" or path in self._exclude or bool(_TEMPORARY.fullmatch(name))

    def ignores(self, folder: bytes, name: bytes, is_folder: bool) -> bool:
        """Whether this name in this directory is left out."""
        if self._everything:
            return False
        rules = self._rules_of(folder)
        verdict = rules.verdict(self._prefix + join(folder, name), name, is_folder)
        if verdict is None:
            return is_folder and name in HEAVY and self._is_generated(folder, name, rules)
        return verdict

    def add_tracked(self, folders: set[bytes]) -> None:
        """Directories in which git tracks files, directly or below."""
        for folder in folders:
            while folder and folder not in self.tracked:
                self.tracked.add(folder)
                folder = parent(folder)

    def reread(self) -> None:
        """Forget the rules: an ignore file has changed."""
        self._rules.clear()

    def user_files_changed(self) -> bool:
        """Whether `info/exclude` or the user's ignore file changed since this was last asked."""
        before, self._user_files = self._user_files, self._stat_user_files()
        return before != self._user_files

    @property
    def is_current(self) -> bool:
        """Whether `user_files_changed` would return False."""
        return self._user_files == self._stat_user_files()

    def _stat_user_files(self) -> list[tuple[int, int]]:
        return [_written(file) for file in self._excludes]

    def _is_generated(self, folder: bytes, name: bytes, rules: _FolderRules) -> bool:
        if join(folder, name) in self.tracked or rules.negates(name):
            return False
        if not rules.repository or name not in _EVIDENCE:
            return True
        here = under(self._root, folder)
        return any(exists(join(here, file)) for file in _EVIDENCE[name])

    def _rules_of(self, folder: bytes) -> _FolderRules:
        missing = []
        while folder not in self._rules:
            missing.append(folder)
            if not folder:
                break
            folder = parent(folder)
        for folder in reversed(missing):  # not by recursion: directories may be nested by the thousand
            self._rules[folder] = self._below(folder) if folder else self._of_root()
        return self._rules[folder]

    def _below(self, folder: bytes) -> _FolderRules:
        here = under(self._root, folder)
        base = self._prefix + folder + b"/"
        above = self._rules[parent(folder)]
        if exists(join(here, b".git")) and (repository := nested(here)):
            above = self._of_user(base, repository.ignore_case)
            above = above.read(repository.excludes[0], base, follow=True)
        return above.read(join(here, b".gitignore"), base)

    def _of_root(self) -> _FolderRules:
        rules = self._of_user(b"", bool(self._repository and self._repository.ignore_case))
        for file in self._excludes[:1]:
            rules = rules.read(file, b"", follow=True)
        rules = rules.read(join(self._top, b".gitignore"), b"")
        above = b""
        for part in self._prefix.split(b"/")[:-1]:
            above += part + b"/"
            rules = rules.read(under(self._top, above + b".gitignore"), above)
        return rules

    def _of_user(self, base: bytes, ignore_case: bool) -> _FolderRules:
        rules = _FolderRules(None, ignore_case, repository=self._repository is not None or bool(base))
        for file in self._excludes[1:]:
            rules = rules.read(file, base, follow=True)
        return rules


class _FolderRules:
    """The rules of a directory.

    Args:
        rules: patterns, the nearest first.
        ignore_case: patterns and names are compared in lower case.
        repository: whether the directory is in a repository.
        negated: the patterns with `!`.
    """

    __slots__ = ("_ignore_case", "_negated", "_rules", "repository")

    def __init__(
        self, rules: Rules | None, ignore_case: bool, *, repository: bool, negated: tuple[bytes, ...] = ()
    ) -> None:
        self._rules, self._ignore_case, self._negated = rules, ignore_case, negated
        self.repository = repository

    def read(self, file: bytes, base: bytes, *, follow: bool = False) -> _FolderRules:
        """These rules with those of one more file, which are stronger."""
        text = read_followed(file) if follow else read_file(file)
        if not text.strip():
            return self
        if self._ignore_case:
            text = text.lower().replace(b"[:upper:]", b"[:lower:]")
        rules = parse(text, base, self._rules)
        negated = (*self._negated, *_NEGATED.findall(text)) if b"!" in text else self._negated
        return _FolderRules(rules, self._ignore_case, repository=self.repository, negated=negated)

    def verdict(self, path: bytes, name: bytes, is_folder: bool) -> bool | None:
        """Return whether git ignores it; None where no pattern matches."""
        if self._rules is None:
            return None
        if self._ignore_case:
            path, name = path.lower(), name.lower()
        return self._rules.ignores(path, name, is_folder)

    def negates(self, name: bytes) -> bool:
        """Whether a pattern with `!` may match something below a directory of this name."""
        return any(name + b"/" in pattern for pattern in self._negated)


def _written(file: bytes) -> tuple[int, int]:
    try:
        st = os.stat(file)  # noqa: PTH116 -- after every call
    except OSError:
        return 0, 0
    return st.st_mtime_ns, st.st_size
