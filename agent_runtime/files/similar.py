"""What a model may have meant when its text is not in the file: the places that are most like it.

The cost is bounded: lines that are frequent in the file count for little, and are left out if there are too many.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher, get_close_matches
from itertools import islice

from agent_runtime.files.line_difference import difference, is_elision
from agent_runtime.files.line_match import fold
from agent_runtime.files.line_numbers import extent, numbered
from agent_runtime.files.merge_lines import opcodes
from agent_runtime.lazy import dataclass

_PLACES = 3  # described
_PLACE_LINES = 12  # of each
_CANDIDATES = 40  # starts that are compared by equal lines
_COMPARED = 12  # of them, by characters too
_COMPARED_LINES = 30  # of each
_LONG = 200  # characters of a line that are compared
_PAIRS = 50_000  # pairs of equal lines that are counted
_SEARCHED = 1_000_000  # lines of a file in which similar places are looked for
_NORMALIZED = 300_000  # lines; in a longer file only blanks at their ends are ignored
_SPELLED = 1_000  # distinct lines among which a similarly spelled one is looked for


@dataclass(frozen=True)
class SimilarPlace:
    """Lines `index` .. `index + size - 1` (from 0) resemble the block; `difference` is the first, as a sentence."""

    index: int
    size: int
    score: float
    difference: str


def describe(lines: Sequence[str], block: Sequence[str]) -> str:
    """Return the nearest places as text: line numbers, likeness, the first difference, and the lines themselves."""
    if len(lines) > _SEARCHED:
        return "The file has too many lines to look for similar places."
    found = nearest(lines, block)
    if not found:
        return "Nothing in the file resembles it."
    out: list[str] = []
    for place in found:
        where = extent(place.index + 1, place.index + place.size)
        out.append(f"Nearest: {where} ({place.score:.0%} alike). {place.difference}".rstrip())
        out.append(
            numbered(lines[place.index : place.index + min(place.size, _PLACE_LINES)], place.index + 1)
        )
    if any(map(is_elision, block)) and len(block) > 1:
        out.append("A line `...` does not stand for other lines: give every line, or a shorter text.")
    return "\n".join(out)


def nearest(lines: Sequence[str], block: Sequence[str], count: int = _PLACES) -> list[SimilarPlace]:
    """Return the places of the file most like the block, best first; empty when nothing resembles it."""
    keys = _keys(lines)
    wanted = [_key(line) for line in block]
    starts = _by_same_lines(keys, wanted) or _by_same_words(keys, wanted) or _by_spelling(keys, wanted)
    ranked = sorted(starts, key=lambda start: -_same(keys, wanted, start))[:_COMPARED]
    ranked.sort(key=lambda start: -_likeness(keys, wanted, start))
    apart: list[int] = []
    for start in ranked:
        if len(apart) < count and all(abs(start - other) >= len(block) for other in apart):
            apart.append(start)
    places = [_aligned(lines, block, keys, wanted, start) for start in apart]
    return sorted(
        (place for place in places if place.score >= 0.4), key=lambda place: (-place.score, place.index)
    )


def _keys(lines: Sequence[str]) -> list[str]:
    if len(lines) > _NORMALIZED:
        return [line.strip()[:_LONG] for line in lines]
    cache = {line: _key(line) for line in set(lines)}
    return [cache[line] for line in lines]


def _key(line: str) -> str:
    """A line without the differences that models easily overlook: case, blanks, typographic and composed characters."""
    line = line[: 2 * _LONG]
    if not line.isascii():
        line = fold(unicodedata.normalize("NFC", line))
    return " ".join(line.casefold().split())[:_LONG]


def _by_same_lines(keys: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Starts by how many lines they share with the block at the same distance. Rare lines count for more."""
    places: dict[str, list[int]] = {}
    for i, key in enumerate(wanted):
        if key:
            places.setdefault(key, []).append(i)
    found: dict[str, list[int]] = {}
    for at, key in enumerate(keys):
        if key in places:
            found.setdefault(key, []).append(at)
    votes: Counter[int] = Counter()
    pairs = 0
    for key in sorted(found, key=lambda key: len(found[key]) * len(places[key])):
        here, there = places[key], found[key]
        pairs += len(here) * len(there)
        if pairs > _PAIRS:
            if votes:
                break
            here, there = here[:1], there[: _PAIRS // 10]
        weight = max(1, 1000 // len(there))
        for at in there:
            for i in here:
                votes[max(0, at - i)] += weight
    return [start for start, _ in votes.most_common(_CANDIDATES)]


def _by_same_words(keys: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where no line is the same: starts by words shared with the longest line of the block."""
    longest = max(range(len(wanted)), key=lambda i: len(wanted[i]), default=0)
    words = set(re.findall(r"\w+", wanted[longest])) if wanted else set()
    if not words:
        return []
    any_word = re.compile("|".join(sorted(map(re.escape, words), key=len, reverse=True)[:20]))
    scored: list[tuple[float, int]] = []
    for at, key in enumerate(keys):
        if any_word.search(key):
            theirs = set(re.findall(r"\w+", key))
            if shared := len(words & theirs):
                scored.append((-shared / len(words | theirs), max(0, at - longest)))
    return [start for _, start in sorted(scored)[:_CANDIDATES]]


def _by_spelling(keys: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where no word is the same: starts by the spelling of the longest line of the block."""
    longest = max(range(len(wanted)), key=lambda i: len(wanted[i]), default=0)
    if not wanted or not wanted[longest]:
        return []
    distinct = islice(dict.fromkeys(filter(None, keys)), _SPELLED)
    return [max(0, keys.index(key) - longest) for key in get_close_matches(wanted[longest], list(distinct))]


def _same(keys: Sequence[str], wanted: Sequence[str], start: int) -> int:
    window = keys[start : start + len(wanted)]
    return sum(len(mine) + 1 for mine, theirs in zip(wanted, window, strict=False) if mine == theirs)


def _likeness(keys: Sequence[str], wanted: Sequence[str], start: int) -> float:
    """Each line against its counterpart, in characters that are alike."""
    score = float(_same(keys, wanted, start))
    pairs = zip(wanted, keys[start : start + len(wanted)], strict=False)
    different = [(mine, theirs) for mine, theirs in pairs if mine != theirs]
    return score + sum(len(mine) * _ratio(mine, theirs) for mine, theirs in different[:_COMPARED_LINES])


def _ratio(mine: str, theirs: str) -> float:
    return 1.0 if mine == theirs else SequenceMatcher(None, mine, theirs).ratio()


def _aligned(
    lines: Sequence[str], block: Sequence[str], keys: Sequence[str], wanted: Sequence[str], start: int
) -> SimilarPlace:
    """The place at about `start`, with the lines of the block put beside those of the file, some of them left out."""
    margin = min(20, 2 + len(block) // 4)
    low, high = _bounds(keys, wanted, start, margin)
    steps = opcodes(wanted, keys[low:high])
    same = [(a, low + c) for tag, a, b, c, d in steps if tag == "equal" and a < b]
    ends = [(b, low + d) for tag, a, b, c, d in steps if tag == "equal" and a < b]
    if not any(wanted[a] for a, _ in same):  # nothing but blank lines: line by line
        low, high = start, min(len(keys), start + len(block))
        steps = [("replace", 0, len(block), 0, high - low)]
        first, last = low, high
    else:
        first = max(low, same[0][1] - same[0][0])
        last = min(high, ends[-1][1] + len(block) - ends[-1][0])
    score, total, compared = 0.0, 0, 0
    found = ""
    for tag, a, b, c, d in steps:
        # lines of the file before the block and after it are not a part of the place
        c, d = max(low + c, first), min(low + d, last)
        for i in range(max(b - a, d - c)):
            mine = a + i if a + i < b else None
            theirs = c + i if c + i < d else None
            if mine is None and theirs is None:
                break
            weight = len(wanted[mine] if mine is not None else keys[theirs or 0]) + 1
            if mine is not None and is_elision(block[mine]):
                weight = 0
            total += weight
            if tag == "equal" or (mine is not None and theirs is not None and wanted[mine] == keys[theirs]):
                score += weight
            elif mine is not None and theirs is not None and compared < _COMPARED_LINES:
                compared += 1
                score += weight * _ratio(wanted[mine], keys[theirs])
            found = found or difference(lines, block, theirs, mine, max(c, first) + i)
    alike = score / (total or 1)
    return SimilarPlace(first, max(1, last - first), min(alike, 0.99) if found else alike, found)


def _bounds(keys: Sequence[str], wanted: Sequence[str], start: int, margin: int) -> tuple[int, int]:
    """The lines to put beside the block: from where it agrees the longest at its beginning to where it does at its end.

    Lines that repeat agree in many places, so the beginning and the end are not looked for by their first and last line
    alone. Where they agree nowhere, `margin` lines more are included.
    """
    low, high = max(0, start - margin), min(len(keys), start + len(wanted) + margin)
    near = range(low, min(len(keys), start + margin) + 1)
    first = max(near, key=lambda at: (_agreeing(keys, wanted, at, 1), -abs(at - start)))
    if _agreeing(keys, wanted, first, 1):
        low = first
    end = min(len(keys), low + len(wanted))
    near = range(max(low, end - margin), high + 1)
    last = max(near, key=lambda at: (_agreeing(keys, wanted, at - 1, -1), -abs(at - end)), default=high)
    return low, last if _agreeing(keys, wanted, last - 1, -1) else high


def _agreeing(keys: Sequence[str], wanted: Sequence[str], at: int, step: int) -> int:
    """Return how many lines of the block, from its beginning or backwards from its end, equal those at `at`."""
    count, mine = 0, 0 if step > 0 else len(wanted) - 1
    while 0 <= at < len(keys) and 0 <= mine < len(wanted) and keys[at] == wanted[mine]:
        count, at, mine = count + 1, at + step, mine + step
    return count
