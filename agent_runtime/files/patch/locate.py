"""Where the hunks of a patch go in a file. No I/O.

Hunks keep the order of the file. Each must have one place that fits with the places of the others: that is
looked for over all hunks together, so that a line which occurs twice is no riddle when two hunks each take
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from agent_runtime.errors import ToolError
from agent_runtime.files.line_numbers import ranges
from agent_runtime.files.patch.model import Hunk
from agent_runtime.files.similar import describe
from agent_runtime.files.text_match import EXACT, UNSHIFTED, Lines, Shift, fold


@dataclass(frozen=True)
class HunkLocation:
    """A place for a hunk: lines `start` to `end` (from 0, end not included)."""

    start: int
    end: int
    how: str = EXACT
    shift: Shift = UNSHIFTED


def placed(lines: Sequence[str], hunks: Sequence[Hunk], shown: str) -> list[HunkLocation]:
    """A place for each hunk, or a ToolError that names the file, the hunk, and the line that differs."""
    searched = Lines(lines)
    return _assign(hunks, [_candidates(searched, hunk, shown) for hunk in hunks], shown)


def mismatch(shown: str, hunk: Hunk, lines: Sequence[str], block: Sequence[str]) -> ToolError:
    """What the hunk expects is not in the file."""
    return ToolError(
        f"{shown}: {hunk.label} does not match the file. Nothing was changed.\n{describe(lines, block)}"
    )


def _candidates(lines: Lines, hunk: Hunk, shown: str) -> list[HunkLocation]:
    block = hunk.old
    if not block:
        return _insertions(lines, hunk, shown)
    how, hits = lines.find(block)
    spots = [HunkLocation(hit.index, hit.index + len(block), how, hit.shift) for hit in hits]
    if not spots:
        raise mismatch(shown, hunk, lines.exact, block)
    if hunk.end_of_file:
        spots = [spot for spot in spots if spot.end == len(lines.exact)] or spots
    if hunk.start is not None:
        spots = [spot for spot in spots if spot.start == (hunk.start or 1) - 1] or spots
    return _after_anchors(lines, hunk, spots, shown) if hunk.anchors else spots


def _insertions(lines: Lines, hunk: Hunk, shown: str) -> list[HunkLocation]:
    """Where lines go that come without any context: after the anchor, at the line named, or at the end."""
    if hunk.anchors:
        places = _chain(lines, hunk.anchors)
        if not places:
            raise _no_anchor(lines, hunk, shown)
        return [HunkLocation(place + 1, place + 1) for place in places]
    if hunk.start is None or hunk.end_of_file:
        return [HunkLocation(len(lines.exact), len(lines.exact))]
    at = max(0, hunk.start - 1)
    if at > len(lines.exact):
        raise ToolError(
            f"{shown}: {hunk.label} goes in before line {hunk.start}; the file has {len(lines.exact)} lines."
        )
    return [HunkLocation(at, at)]


def _after_anchors(lines: Lines, hunk: Hunk, spots: list[HunkLocation], shown: str) -> list[HunkLocation]:
    """The first place after each occurrence of the anchors.

    Where an anchor is part of the hunk, that place.
    """
    anchored: dict[int, HunkLocation] = {}
    places = _chain(lines, hunk.anchors)
    for place in places:
        after = [spot for spot in spots if spot.start > place] or [
            spot for spot in spots if spot.start == place
        ]
        if after:
            anchored[after[0].start] = after[0]
    if anchored:
        return list(anchored.values())
    if len(spots) == 1 and spots[0].how == EXACT:
        return spots  # there is but one place, whatever the anchor says
    if not places:
        raise _no_anchor(lines, hunk, shown)
    found = ranges([spot.start + 1 for spot in spots])
    raise ToolError(
        f"{shown}: {hunk.label} is not after its `@@ {hunk.anchors[-1]}` line, but at {found}. Nothing "
        "was changed."
    )


def _chain(lines: Lines, anchors: Sequence[str]) -> list[int]:
    """Lines of the innermost anchor: for each occurrence of an outer one, the first inner one after it."""
    places: list[int] | None = None
    for anchor in anchors:
        all_places = _anchor_places(lines, anchor)
        if places is None:
            places = all_places
        else:
            next_ones = (next((p for p in all_places if p > place), None) for place in places)
            places = sorted({p for p in next_ones if p is not None})
    return places or []


def _anchor_places(lines: Lines, anchor: str) -> list[int]:
    wanted = fold(anchor).strip()
    stripped = [fold(line).strip() for line in lines.exact]
    whole = [i for i, line in enumerate(stripped) if line == wanted]
    return whole or [i for i, line in enumerate(stripped) if line.startswith(wanted)]


def _assign(hunks: Sequence[Hunk], candidates: list[list[HunkLocation]], shown: str) -> list[HunkLocation]:
    """The only way to give every hunk a place, in order.

    Raises ToolError when there is none, or more than one.
    """
    earliest: list[int] = [0]  # where the hunks before end at the least
    latest: list[int] = [1 << 62]  # where the hunks after begin at the most
    for spots in candidates:
        earliest.append(min((spot.end for spot in spots if spot.start >= earliest[-1]), default=1 << 62))
    for spots in reversed(candidates):
        latest.append(max((spot.start for spot in spots if spot.end <= latest[-1]), default=-1))
    latest.reverse()
    chosen: list[HunkLocation] = []
    for i, spots in enumerate(candidates):
        fitting = [spot for spot in spots if spot.start >= earliest[i] and spot.end <= latest[i + 1]]
        if not fitting:
            return _unordered(hunks, candidates, shown)
        if len(fitting) > 1:
            places = ranges([spot.start + 1 for spot in fitting])
            raise ToolError(
                f"{shown}: {hunks[i].label} matches {len(fitting)} places, at lines {places}. Nothing "
                "was changed. Give more context lines, or an `@@` line that comes before the one that is meant."
            )
        chosen.append(fitting[0])
    return chosen


def _unordered(hunks: Sequence[Hunk], candidates: list[list[HunkLocation]], shown: str) -> list[HunkLocation]:
    """Hunks that are not in the order of the file are fine when each has one place and no two overlap."""
    if all(len(spots) == 1 for spots in candidates):
        spots = [spots[0] for spots in candidates]
        ordered = sorted(spots, key=lambda spot: (spot.start, spot.end))
        if all(a.end <= b.start for a, b in pairwise(ordered)):
            return spots
    found = "; ".join(
        f"{hunk.label} at {ranges([spot.start + 1 for spot in spots])}"
        for hunk, spots in zip(hunks, candidates, strict=True)
    )
    raise ToolError(
        f"{shown}: the hunks overlap, or are not in the order of the file: {found}. Nothing was changed."
    )


def _no_anchor(lines: Lines, hunk: Hunk, shown: str) -> ToolError:
    anchor = hunk.anchors[-1]
    return ToolError(
        f"{shown}: {hunk.label}: no line of the file is `{anchor}` (after the `@@` lines before it). "
        f"Nothing was changed.\n{describe(lines.exact, [anchor])}"
    )
