"""The tokens of one of git's wildmatch patterns: stars, sets and single bytes."""

from __future__ import annotations

import re

from agent_runtime.lazy import lazy_pattern

_SLASH = ord("/")
SPECIAL = lazy_pattern(rb"[*?\[\\]")
_BYTES = [bytes([code]) for code in range(256)]
_ALL_BUT_SLASH = bytes(code for code in range(256) if code != _SLASH)
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
    b"space": rb"\t\n\r\x20",
    b"upper": rb"A-Z",
    b"xdigit": rb"0-9A-Fa-f",
}
_MEMBERS = {
    name: bytes(code for code in range(256) if re.match(b"[%b]" % members, _BYTES[code]))
    for name, members in _CLASSES.items()
}

# A token is the bytes that one character may be, or one of these
STAR, ANYTHING, DIRECTORIES = "*", "**", "**/"
Token = bytes | str


def tokens(glob: bytes) -> list[Token]:
    """The tokens of a pattern. Raises ValueError when it is broken."""
    out: list[Token] = []
    at = 0
    special = SPECIAL.search(glob)
    first = special.start() if special else len(glob)
    while at < len(glob):
        char = glob[at : at + 1]
        if char == b"*":
            # git matches the text before the first wildcard on its own, and takes the rest for a pattern
            token, at = _stars(glob, at, starts=at == first or glob[at - 1] == _SLASH)
            if token != DIRECTORIES or out[-1:] != [DIRECTORIES]:
                out.append(token)
        elif char == b"[":
            members, at = _bracket(glob, at + 1)
            out.append(members)
        elif char == b"\\":
            if at + 1 == len(glob):
                raise ValueError("a backslash at the end")
            out.append(glob[at + 1 : at + 2])
            at += 2
        else:
            out.append(_ALL_BUT_SLASH if char == b"?" else char)
            at += 1
    return out


def _stars(glob: bytes, at: int, starts: bool) -> tuple[str, int]:
    end = at
    while glob[end : end + 1] == b"*":
        end += 1
    if end - at > 1 and starts:
        if glob[end : end + 1] == b"/":
            return DIRECTORIES, end + 1
        if end == len(glob) or glob[end : end + 2] == b"\\/":
            return ANYTHING, end
    return STAR, end


def _bracket(glob: bytes, at: int) -> tuple[bytes, int]:
    """The members of a set whose `[` is before `at`, and where it ends; never a slash."""
    negated = glob[at : at + 1] in (b"!", b"^")
    at += negated
    members: set[int] = set()
    low: int | None = None  # the character before, with which a range may begin
    first = True
    while first or glob[at : at + 1] != b"]":
        first = False
        if glob.startswith(b"[:", at) and (end := _class_end(glob, at)):
            name = glob[at + 2 : end]
            if name not in _MEMBERS:
                raise ValueError("an unknown class")
            members.update(_MEMBERS[name])
            low, at = None, end + 2
        elif glob[at : at + 1] == b"-" and low is not None and glob[at + 1 : at + 2] not in (b"]", b""):
            high, at = _one(glob, at + 1)
            members.update(range(low, high + 1))
            low = None
        else:
            low, at = _one(glob, at)
            members.add(low)
    if negated:
        members = set(range(256)) - members
    return bytes(sorted(members - {_SLASH})), at + 1


def _class_end(glob: bytes, at: int) -> int | None:
    """Where the `:]` of a class is, which ends at the next `]`."""
    end = glob.find(b"]", at + 2)
    if end < 0:
        raise ValueError("an open bracket")
    return end - 1 if end - 1 >= at + 2 and glob[end - 1 : end] == b":" else None


def _one(glob: bytes, at: int) -> tuple[int, int]:
    if glob[at : at + 1] == b"\\":
        at += 1
    if at >= len(glob):
        raise ValueError("an open bracket")
    return glob[at], at + 1
