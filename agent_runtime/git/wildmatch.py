"""Many of git's wildmatch patterns matched against a name or path at once, without backtracking.

A literal pattern is looked up by hash. The others are found by the literal text that they begin or end with, and all
patterns that share one run together as one nondeterministic automaton whose states are the bits of an integer. A lookup
takes at most len(text) steps, each of a few operations on as many bits as the patterns have characters, so no pattern
makes it exponential, or even quadratic.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from agent_runtime.git.glob_tokens import ANYTHING, DIRECTORIES, SPECIAL, STAR, Token, tokens
from agent_runtime.lazy import dataclass

_SLASH = ord("/")
_LONGEST = 4_096  # bytes of a path on Linux: a pattern that needs more never matches


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
            if not SPECIAL.search(glob):
                self._exact[glob] = number
                continue
            try:
                pattern = tokens(glob)
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
