"""Many of git's wildmatch patterns matched against a name or path at once, without backtracking.

A literal pattern is looked up by hash. The others are found by the literal text that they begin or end with, and all
patterns that share one run together as one nondeterministic automaton whose states are the bits of an integer. A lookup
takes at most len(text) steps, each of a few operations on as many bits as the patterns have characters: there is no
pattern that makes it exponential, or even quadratic.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from agent_runtime.lazy import dataclass, lazy_pattern

_SLASH = ord("/")
_LONGEST = 4_096  # bytes of a path on Linux: a pattern that needs more never matches
_SPECIAL = lazy_pattern(rb"[*?\[\\]")
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


class PatternSet:
    """Numbered patterns, in which `*` and `?` stop at a slash. All are matched against the whole of a text.

    Args:
        patterns: pairs of a number and a pattern; numbers ascend. A pattern that is broken never matches, as in git.
    """

    def __init__(self, patterns: Iterable[tuple[int, bytes]]) -> None:
        self._exact: dict[bytes, int] = {}
        self._by_prefix: dict[bytes, _Automaton] = {}
        self._by_suffix: dict[bytes, _Automaton] = {}
        for number, glob in patterns:
            if not _SPECIAL.search(glob):
                self._exact[glob] = number
                continue
            try:
                pattern = _tokens(glob)
            except ValueError:
                continue
            prefix, suffix = _literal(pattern), _literal(pattern[::-1])[::-1]
            if len(prefix) == len(pattern):
                self._exact[prefix] = number
            elif sum(isinstance(token, bytes) for token in pattern) <= _LONGEST:
                by, key = (
                    (self._by_suffix, suffix) if len(suffix) > len(prefix) else (self._by_prefix, prefix)
                )
                by.setdefault(key, _Automaton()).patterns.append((number, pattern))
        self._prefix_lengths = tuple({len(key) for key in self._by_prefix})
        self._suffix_lengths = tuple({len(key) for key in self._by_suffix})

    def last(self, text: bytes) -> int:
        """Return the number of the last pattern that matches; -1 when none does."""
        found = self._exact.get(text, -1)
        for length in self._prefix_lengths:
            if automaton := self._by_prefix.get(text[:length]):
                found = max(found, automaton.last(text))
        for length in self._suffix_lengths:
            if automaton := self._by_suffix.get(text[-length:]):
                found = max(found, automaton.last(text))
        return found


class _Automaton:
    """Patterns side by side in the bits of an integer: for each, a bit before every token, and one for its end."""

    def __init__(self) -> None:
        self.patterns: list[tuple[int, list[Token]]] = []

    def last(self, text: bytes) -> int:
        masks = self._masks
        state = masks.starts
        state |= (state & masks.skips) << 1
        state |= (state & masks.skips) << 1
        for code in text:
            kept = state & (masks.repeats_all if code == _SLASH else masks.repeats)
            moved = (state & masks.steps.get(code, 0)) << 1
            # a token that may be empty is skipped when it is reached; at most two such tokens follow each other
            skipped = ((moved & masks.skips) | (kept & masks.leaves)) << 1
            state = kept | moved | skipped | (skipped & masks.skips) << 1
            if not state:
                return -1
        reached = state & masks.ends
        return masks.numbers[reached.bit_length() - 1] if reached else -1

    @cached_property
    def _masks(self) -> _Masks:
        places: dict[str, list[int]] = {STAR: [], ANYTHING: [], DIRECTORIES: []}
        steps: dict[int, list[int]] = {}
        starts: list[int] = []
        numbers: dict[int, int] = {}
        at = 0
        for number, pattern in self.patterns:
            starts.append(at)
            for token in pattern:
                if isinstance(token, str):
                    places[token].append(at)
                for code in token if isinstance(token, bytes) else b"/" if token == DIRECTORIES else b"":
                    steps.setdefault(code, []).append(at)
                at += 1
            numbers[at] = number
            at += 1
        star, anything, directories = (_bits(places[token], at) for token in (STAR, ANYTHING, DIRECTORIES))
        return _Masks(
            starts=_bits(starts, at),
            ends=_bits(numbers, at),
            steps={code: _bits(at_code, at) for code, at_code in steps.items()},
            repeats=star | anything | directories,
            repeats_all=anything | directories,
            leaves=star | anything,
            skips=star | anything | directories,
            numbers=numbers,
        )


@dataclass(frozen=True)
class _Masks:
    """The states of an automaton by what happens in them.

    `steps`: go on to the next one at this byte; `repeats`: stay at any byte but a slash, `repeats_all` at a slash too;
    `leaves`: after staying, go on at any time; `skips`: go on at once when reached. `numbers`: the patterns by their
    end.
    """

    starts: int
    ends: int
    steps: dict[int, int]
    repeats: int
    repeats_all: int
    leaves: int
    skips: int
    numbers: dict[int, int]


def _bits(places: Iterable[int], size: int) -> int:
    out = bytearray(size // 8 + 1)
    for place in places:
        out[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(out, "little")


def _literal(pattern: list[Token]) -> bytes:
    """The text that a pattern begins with."""
    out = bytearray()
    for token in pattern:
        if isinstance(token, str) or len(token) != 1:
            break
        out += token
    return bytes(out)


def _tokens(glob: bytes) -> list[Token]:
    """The tokens of a pattern. Raises ValueError when it is broken."""
    out: list[Token] = []
    at = 0
    special = _SPECIAL.search(glob)
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
