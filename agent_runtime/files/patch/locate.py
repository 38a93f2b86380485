"""Where the hunks of a patch go in a file. No I/O.

Each hunk must have one place that fits with those of the others. The places are found for all hunks together, so a
hunk that matches twice has one place if the other is taken by the hunk after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from agent_runtime.errors import ToolError
from agent_runtime.files.line_match import EXACT, Lines
from agent_runtime.files.line_numbers import ranges
from agent_runtime.files.patch.anchors import Anchors
from agent_runtime.files.patch.model import Hunk, PatchLine, old_text
from agent_runtime.files.similar import describe
from agent_runtime.lazy import dataclass


@dataclass(frozen=True)
class HunkLocation:
    """The place of a hunk.

    Attributes:
        start: its first line in the file, from 0.
        end: the line after its last.
        lines: the lines of the hunk that are used: blank ones at its end are left out where the file has none.
        how: the tolerance with which it matched.
    """

    start: int
    end: int
    lines: tuple[PatchLine, ...]
    how: str = EXACT


def locate(lines: Sequence[str], hunks: Sequence[Hunk], display: str) -> list[HunkLocation]:
    """Return a place for each hunk.

    Raises:
        ToolError: a hunk has no place or several; the message names the file, the hunk, and the line that differs.
    """
    searched = Lines(lines)
    anchors = Anchors(searched, display)
    return _assign(hunks, [_candidates(searched, anchors, hunk, display) for hunk in hunks], display)


def mismatch(display: str, hunk: Hunk, lines: Sequence[str], block: Sequence[str]) -> ToolError:
    """Return the error for a hunk whose lines are not in the file."""
    return ToolError(
        f"{display}: {hunk.label} does not match the file. Nothing was changed.\n{describe(lines, block)}"
    )


def _candidates(lines: Lines, anchors: Anchors, hunk: Hunk, display: str) -> list[HunkLocation]:
    if not hunk.old:
        return _insertions(lines, anchors, hunk, display)
    # what comes after the anchors may match with more tolerance than what comes before them
    start = min(anchors.find(hunk.anchors), default=-1) + 1
    places = _first_matches(lines, hunk, start)
    if not places and hunk.anchors and not any(line.strip() for line in hunk.old):
        # without the blank context, which the file does not have after the anchors
        *_, body = _bodies(hunk.lines)
        return _insertions(lines, anchors, replace(hunk, lines=body), display)
    places = places or _first_matches(lines, hunk, 0)
    if not places:
        raise mismatch(display, hunk, lines.exact, hunk.old)
    if hunk.end_of_file:
        places = [place for place in places if place.end == len(lines.exact)] or places
    if hunk.start is not None:
        places = [place for place in places if place.start == (hunk.start or 1) - 1] or places
    return _after_anchors(anchors, hunk, places, display) if hunk.anchors else places


def _bodies(lines: tuple[PatchLine, ...]) -> Iterator[tuple[PatchLine, ...]]:
    """The lines of a hunk, then without blank ones at the end of its old side, which models add to a hunk."""
    yield lines
    while (old := old_text(lines)) and not old[-1].strip():
        last = max(i for i, line in enumerate(lines) if line.tag != "+")
        rest = lines[last + 1 :]
        if lines[last].tag == " " and rest:  # it is between lines of the new side, so it becomes one of them
            lines = (*lines[:last], PatchLine("+", ""), *rest)
        else:
            lines = (*lines[:last], *(rest[:-1] if rest and not rest[-1].text.strip() else rest))
        yield lines


def _first_matches(lines: Lines, hunk: Hunk, start: int) -> list[HunkLocation]:
    """The places from line `start` on of the first form of the hunk that has any."""
    bodies = (body for body in _bodies(hunk.lines) if old_text(body))
    return next((places for body in bodies if (places := _matches(lines, body, start))), [])


def _matches(lines: Lines, body: tuple[PatchLine, ...], start: int) -> list[HunkLocation]:
    block = old_text(body)
    how, hits = lines.find(block, start)
    return [HunkLocation(hit.index, hit.index + len(block), body, how) for hit in hits]


def _insertions(lines: Lines, anchors: Anchors, hunk: Hunk, display: str) -> list[HunkLocation]:
    """Where lines without any context go: after the anchor, at the line named, or at the end."""
    at = len(lines.exact)
    if hunk.anchors:
        return [HunkLocation(line + 1, line + 1, hunk.lines) for line in anchors.require(hunk)]
    if hunk.start is not None and not hunk.end_of_file:
        at = max(0, hunk.start - 1)
    if at > len(lines.exact):
        raise ToolError(
            f"{display}: {hunk.label} is to be inserted before line {hunk.start}; the file has "
            f"{len(lines.exact)} lines. Nothing was changed."
        )
    return [HunkLocation(at, at, hunk.lines)]


def _after_anchors(
    anchors: Anchors, hunk: Hunk, places: list[HunkLocation], display: str
) -> list[HunkLocation]:
    """The first place after each occurrence of the anchors, or the one that begins with the anchor itself."""
    anchored: dict[int, HunkLocation] = {}
    for line in anchors.find(hunk.anchors):
        after = [place for place in places if place.start > line] or [
            place for place in places if place.start == line
        ]
        if after:
            anchored[after[0].start] = after[0]
    if anchored:
        return list(anchored.values())
    if len(places) == 1 and places[0].how == EXACT:
        return places  # there is only one place, whatever the anchor says
    anchors.require(hunk)
    found = ranges([place.start + 1 for place in places])
    raise ToolError(
        f"{display}: {hunk.label} is not after its `@@ {hunk.anchors[-1]}` line, but at {found}. Nothing "
        "was changed."
    )


def _assign(hunks: Sequence[Hunk], candidates: list[list[HunkLocation]], display: str) -> list[HunkLocation]:
    """The only way to give every hunk a place, in order.

    Raises ToolError when there is none, or more than one.
    """
    earliest: list[int] = [0]  # the first line at which the hunks before can end
    latest: list[int] = [1 << 62]  # the last line at which the hunks after can begin
    for places in candidates:
        earliest.append(min((place.end for place in places if place.start >= earliest[-1]), default=1 << 62))
    for places in reversed(candidates):
        latest.append(max((place.start for place in places if place.end <= latest[-1]), default=-1))
    latest.reverse()
    chosen: list[HunkLocation] = []
    for i, places in enumerate(candidates):
        fitting = [place for place in places if place.start >= earliest[i] and place.end <= latest[i + 1]]
        if not fitting:
            return _unordered(hunks, candidates, display)
        if len(fitting) > 1:
            found = ranges([place.start + 1 for place in fitting])
            raise ToolError(
                f"{display}: {hunks[i].label} matches {len(fitting)} places, at lines {found}. Nothing was "
                "changed. Give more context lines, or an `@@` line that comes before the one that is meant."
            )
        chosen.append(fitting[0])
    return chosen


def _unordered(
    hunks: Sequence[Hunk], candidates: list[list[HunkLocation]], display: str
) -> list[HunkLocation]:
    """Hunks that are not in the order of the file are applied when each has one place and no two overlap."""
    if all(len(places) == 1 for places in candidates):
        places = [places[0] for places in candidates]
        ordered = sorted(places, key=lambda place: (place.start, place.end))
        if all(a.end <= b.start for a, b in pairwise(ordered)):
            return places
    found = "; ".join(
        f"{hunk.label} at {ranges([place.start + 1 for place in places])}"
        for hunk, places in zip(hunks, candidates, strict=True)
    )
    raise ToolError(
        f"{display}: the hunks overlap, or are not in the order of the file: {found}. Nothing was changed."
    )
