"""Which paths do not count: git's ignore rules, and folders that tools fill by the thousand.

The rules are gitignore(5)'s, from the nearest `.gitignore` up to the top of the repository, then
`info/exclude`, then the user's own file. They hold in a tree without git too. A name that no rule speaks of
and that is in HEAVY is ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

HEAVY = frozenset(
    b"node_modules .venv venv target __pycache__ .pytest_cache .mypy_cache .ruff_cache .cache .tox .nox "
    b".hypothesis .gradle .next .nuxt .turbo .parcel-cache .svelte-kit .yarn bower_components".split()
)

_CLASSES = {
    b"alnum": rb"0-9A-Za-z",
    b"alpha": rb"A-Za-z",
    b"blank": rb" \t",
    b"cntrl": rb"\x00-\x1f\x7f",
    b"digit": rb"0-9",
    b"graph": rb"\x21-\x7e",
    b"lower": rb"a-z",
    b"print": rb"\x20-\x7e",
    b"punct": rb"!-/:-@\[-`{-~",
    b"space": rb"\s",
    b"upper": rb"A-Z",
    b"xdigit": rb"0-9A-Fa-f",
}

Matcher = re.Pattern[bytes] | None


@dataclass(frozen=True)
class RuleGroup:
    """Patterns that stand together and decide alike, by what they look at: name or path, any or folders."""

    ignores: bool
    name: Matcher
    folder_name: Matcher
    path: Matcher
    folder_path: Matcher

    def matches(self, path: bytes, name: bytes, folder: bool) -> bool:
        """Does one of them match?"""
        return bool(
            (self.name and self.name.fullmatch(name))
            or (self.path and self.path.fullmatch(path))
            or (folder and self.folder_name and self.folder_name.fullmatch(name))
            or (folder and self.folder_path and self.folder_path.fullmatch(path))
        )


@dataclass(frozen=True)
class Rules:
    """One file of patterns, for what is below `base` (empty or with a final slash); then `above` is asked."""

    base: bytes
    groups: tuple[RuleGroup, ...]
    above: Rules | None

    def ignores(self, path: bytes, name: bytes, folder: bool) -> bool | None:
        """True, False (a `!` pattern), or None when none matches. `path` is relative to the repository."""
        rules: Rules | None = self
        while rules:
            below = path[len(rules.base) :]
            for group in reversed(rules.groups):
                if group.matches(below, name, folder):
                    return group.ignores
            rules = rules.above
        return None


def parse(text: bytes, base: bytes, above: Rules | None) -> Rules | None:
    """The rules of a `.gitignore` that lies in `base`; `above` itself when there are none in it."""
    groups = _groups(text)
    return Rules(base, groups, above) if groups else above


@lru_cache(maxsize=256)
def _groups(text: bytes) -> tuple[RuleGroup, ...]:
    groups: list[RuleGroup] = []
    run: dict[tuple[bool, bool], list[bytes]] = {}
    sign = True
    for ignores, key, regex in filter(None, map(_pattern, text.removeprefix(b"\xef\xbb\xbf").split(b"\n"))):
        if ignores != sign and run:
            groups.append(_group(sign, run))
            run = {}
        sign = ignores
        run.setdefault(key, []).append(regex)
    if run:
        groups.append(_group(sign, run))
    return tuple(groups)


def _group(ignores: bool, run: dict[tuple[bool, bool], list[bytes]]) -> RuleGroup:
    def either(key: tuple[bool, bool]) -> Matcher:
        return re.compile(b"|".join(run[key]), re.DOTALL) if key in run else None

    return RuleGroup(
        ignores, either((False, False)), either((False, True)), either((True, False)), either((True, True))
    )


def _pattern(line: bytes) -> tuple[bool, tuple[bool, bool], bytes] | None:
    """(ignores?, (looks at the path?, folders only?), regex)."""
    line = _trimmed(line.removesuffix(b"\r"))
    if not line or line.startswith(b"#"):
        return None
    ignores = not line.startswith(b"!")
    line = line.removeprefix(b"!")
    folder = line.endswith(b"/")
    line = line.removesuffix(b"/")
    path = b"/" in line
    line = line.removeprefix(b"/")
    if not line:
        return None
    try:
        regex = translate(line)
        re.compile(regex)
    except (ValueError, re.error):  # git takes a broken pattern for one that never matches
        return None
    return ignores, (path, folder), regex


def _trimmed(line: bytes) -> bytes:
    bare = line.rstrip(b" ")
    slashes = len(bare) - len(bare.rstrip(b"\\"))
    return bare + b" " if slashes % 2 and len(bare) < len(line) else bare


def translate(glob: bytes) -> bytes:
    """A pattern of git's wildmatch as a regular expression; `*` stops at `/`. ValueError: broken."""
    out = bytearray(b"(?:")
    at = 0
    while at < len(glob):
        if glob[at : at + 1] == b"*":
            piece, at = _stars(glob, at)
        elif glob[at : at + 1] == b"[":
            piece, at = _bracket(glob, at + 1)
        elif glob[at : at + 1] == b"\\":
            if at + 1 == len(glob):
                raise ValueError("a backslash at the end")
            piece, at = re.escape(glob[at + 1 : at + 2]), at + 2
        else:
            char = glob[at : at + 1]
            piece, at = (b"[^/]" if char == b"?" else re.escape(char)), at + 1
        out += piece
    return bytes(out + b")")


def _stars(glob: bytes, at: int) -> tuple[bytes, int]:
    end = at
    while glob[end : end + 1] == b"*":
        end += 1
    starts = at == 0 or glob[at - 1 : at] == b"/"
    if end - at == 2 and starts and glob[end : end + 1] == b"/":
        return rb"(?:.*/)?", end + 1
    if end - at == 2 and starts and end == len(glob):
        return (rb".+" if at else rb".*"), end
    return rb"[^/]*", end


def _bracket(glob: bytes, at: int) -> tuple[bytes, int]:
    negated = glob[at : at + 1] in (b"!", b"^")
    at += negated
    body = bytearray()
    first = True
    while first or glob[at : at + 1] != b"]":
        first = False
        if glob.startswith(b"[:", at) and (end := glob.find(b":]", at)) > 0:
            name = glob[at + 2 : end]
            if name not in _CLASSES:
                raise ValueError("an unknown class")
            body += _CLASSES[name]
            at = end + 2
            continue
        low, at = _one(glob, at)
        if glob[at : at + 1] == b"-" and glob[at + 1 : at + 2] not in (b"]", b""):
            high, at = _one(glob, at + 1)
            if low <= high:
                body += b"\\x%02x-\\x%02x" % (low, high)
        else:
            body += b"\\x%02x" % low
    if negated:
        return b"[^/" + bytes(body) + b"]", at + 1
    return (b"(?!/)[" + bytes(body) + b"]" if body else b"(?!)"), at + 1


def _one(glob: bytes, at: int) -> tuple[int, int]:
    if glob[at : at + 1] == b"\\":
        at += 1
    if at >= len(glob):
        raise ValueError("an open bracket")
    return glob[at], at + 1
