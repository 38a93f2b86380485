"""git's ignore rules: parsing a `.gitignore`, and asking whether a path is ignored.

The rules are those of gitignore(5): from the nearest `.gitignore` up to the top of the repository, then `info/exclude`,
then the user's own file. They hold in a tree without git too.
"""

from __future__ import annotations

from functools import lru_cache

from agent_runtime.git.wildmatch import PatternSet
from agent_runtime.lazy import dataclass

# Directories that tools fill by the thousand, ignored where no rule says otherwise
HEAVY = frozenset(
    b"node_modules .venv venv target __pycache__ .pytest_cache .mypy_cache .ruff_cache .cache .tox .nox "
    b".hypothesis .gradle .next .nuxt .turbo .parcel-cache .svelte-kit .yarn bower_components".split()
)


@dataclass(frozen=True)
class _File:
    """The patterns of one file by what they are matched against; of those that match the last one decides."""

    ignores: tuple[bool, ...]
    name: PatternSet
    path: PatternSet
    directory_name: PatternSet
    directory_path: PatternSet

    def verdict(self, path: bytes, name: bytes, is_directory: bool) -> bool | None:
        last = max(self.name.last(name), self.path.last(path))
        if is_directory:
            last = max(last, self.directory_name.last(name), self.directory_path.last(path))
        return self.ignores[last] if last >= 0 else None


@dataclass(frozen=True)
class Rules:
    """The patterns of one file, for what is below `base` (empty, or ending in a slash), and then those `above`."""

    base: bytes
    patterns: _File
    above: Rules | None

    def ignores(self, path: bytes, name: bytes, folder: bool) -> bool | None:
        """Return True, False (by a `!` pattern), or None when none matches. `path` is relative to the repository."""
        rules: Rules | None = self
        while rules:
            verdict = rules.patterns.verdict(path[len(rules.base) :], name, folder)
            if verdict is not None:
                return verdict
            rules = rules.above
        return None


def parse(text: bytes, base: bytes, above: Rules | None) -> Rules | None:
    """Return the rules of a `.gitignore` in the directory `base`; `above` itself when the file has none."""
    patterns = _parsed(text)
    return Rules(base, patterns, above) if patterns.ignores else above


@lru_cache(maxsize=256)
def _parsed(text: bytes) -> _File:
    ignores: list[bool] = []
    found: dict[tuple[bool, bool], list[tuple[int, bytes]]] = {}
    for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        if (pattern := _pattern(line)) is not None:
            ignore, kind, glob = pattern
            found.setdefault(kind, []).append((len(ignores), glob))
            ignores.append(ignore)

    def of(path: bool, directory: bool) -> PatternSet:
        return PatternSet(found.get((path, directory), ()))

    return _File(tuple(ignores), of(False, False), of(True, False), of(False, True), of(True, True))


def _pattern(line: bytes) -> tuple[bool, tuple[bool, bool], bytes] | None:
    """(whether it ignores, (matched against the path, directories only), glob)."""
    line = _trimmed(line.partition(b"\0")[0].removesuffix(b"\r"))
    if not line or line.startswith(b"#"):
        return None
    ignores = not line.startswith(b"!")
    line = line.removeprefix(b"!")
    directory = line.endswith(b"/")
    line = line.removesuffix(b"/")
    path = b"/" in line
    line = line.removeprefix(b"/")
    return (ignores, (path, directory), line) if line else None


def _trimmed(line: bytes) -> bytes:
    bare = line.rstrip(b" ")
    slashes = len(bare) - len(bare.rstrip(b"\\"))
    return bare + b" " if slashes % 2 and len(bare) < len(line) else bare
