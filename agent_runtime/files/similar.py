"""What a model may have meant when its text is not in the file: the places that are most like it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from agent_runtime.files.line_numbers import clip, numbered

_SHOWN = 3  # candidates
_SHOWN_LINES = 12  # of each
_COMPARED = 40  # windows compared in earnest
_LONG = 400  # characters of a line that are compared


@dataclass(frozen=True)
class SimilarPlace:
    """Lines `index` .. `index + size - 1` (from 0) resemble the block.

    `differs` is the first that is not the same.
    """

    index: int
    size: int
    score: float
    differs: int


def nearest(lines: Sequence[str], block: Sequence[str], count: int = _SHOWN) -> list[SimilarPlace]:
    """The windows of the file most like the block, best first; empty when nothing resembles it."""
    wanted = [line.strip()[:_LONG] for line in block]
    starts = _by_same_lines(lines, wanted) or _by_same_words(lines, wanted)
    found: list[SimilarPlace] = []
    for start in starts[:_COMPARED]:
        window = [line.strip()[:_LONG] for line in lines[start : start + len(wanted)]]
        score = _likeness(window, wanted)
        if score >= 0.5:
            differs = next(
                (i for i, (a, b) in enumerate(zip(lines[start:], block, strict=False)) if a != b), len(window)
            )
            found.append(SimilarPlace(start, len(window), score, differs))
    found.sort(key=lambda candidate: (-candidate.score, candidate.index))
    apart: list[SimilarPlace] = []
    for candidate in found:
        if all(abs(candidate.index - other.index) >= len(wanted) for other in apart):
            apart.append(candidate)
    return apart[:count]


def describe(lines: Sequence[str], block: Sequence[str]) -> str:
    """The nearest places with their line numbers and the first line that differs.

    A sentence when there are none.
    """
    found = nearest(lines, block)
    if not found:
        return "Nothing in the file resembles it."
    parts: list[str] = []
    for candidate in found:
        first = candidate.index + 1
        title = (
            f"Nearest: lines {first}-{first + candidate.size - 1}"
            if candidate.size > 1
            else f"Nearest: line {first}"
        )
        parts.append(f"{title} ({candidate.score:.0%} alike).{_difference(lines, block, candidate)}")
        shown = lines[candidate.index : candidate.index + min(candidate.size, _SHOWN_LINES)]
        parts.append(numbered(shown, first))
    return "\n".join(parts)


def _difference(lines: Sequence[str], block: Sequence[str], candidate: SimilarPlace) -> str:
    i = candidate.differs
    if i >= len(block):
        return ""
    at = candidate.index + i
    there = repr(clip(lines[at], 160)) if at < len(lines) else "the end of the file"
    return f" Line {at + 1} differs: the file has {there}, you gave {clip(block[i], 160)!r}."


def _by_same_lines(lines: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Starts of windows by how many lines they share with the block, line for line.

    Rare lines count for more.
    """
    places: dict[str, list[int]] = {}
    for i, line in enumerate(wanted):
        if line:
            places.setdefault(line, []).append(i)
    stripped = [line.strip() for line in lines]
    frequency = Counter(line for line in stripped if line in places)
    votes: Counter[int] = Counter()
    for at, line in enumerate(stripped):
        for i in places.get(line, ()):
            votes[max(0, at - i)] += max(1, 1000 // frequency[line])
    return [start for start, _ in votes.most_common(_COMPARED)]


def _by_same_words(lines: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where no line is the same: starts of windows by words shared with the block's most telling line."""
    telling = max(range(len(wanted)), key=lambda i: len(wanted[i]), default=0)
    words = set(re.findall(r"\w+", wanted[telling])) if wanted else set()
    if not words:
        return []
    scored: list[tuple[float, int]] = []
    for at, line in enumerate(lines):
        theirs = set(re.findall(r"\w+", line[:_LONG]))
        if shared := len(words & theirs):
            scored.append((-shared / len(words | theirs), max(0, at - telling)))
    return [start for _, start in sorted(scored)[:_COMPARED]]


def _likeness(window: Sequence[str], wanted: Sequence[str]) -> float:
    """0 to 1: each line against its counterpart, long lines weighing more."""
    total = sum(len(line) + 1 for line in wanted) or 1
    score = 0.0
    for mine, theirs in zip(wanted, window, strict=False):
        score += (len(mine) + 1) * (1.0 if mine == theirs else SequenceMatcher(None, mine, theirs).ratio())
    return score / total
