"""A file's new bytes by the hunks of a patch. No I/O; see `patchset` for the parsing and `edit` for the
writing.

Hunks keep the order of the file. Each must have one place that fits with the places of the others: that is
looked for over all hunks together, so that a line which occurs twice is no riddle when two hunks each take
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from agent_runtime.errors import ToolError
from agent_runtime.sandbox.matching import EXACT, QUOTES, UNSHIFTED, Lines, Shift, fold
from agent_runtime.sandbox.nearest import describe
from agent_runtime.sandbox.numbering import extent, ranges
from agent_runtime.sandbox.patchset import Hunk
from agent_runtime.sandbox.splicing import with_line_end, with_their_quotes
from agent_runtime.sandbox.textfile import Edit, TextFile


@dataclass(frozen=True)
class Patched:
    """The new bytes, the lines of the old file that were touched (from 1, last included), and remarks."""

    data: bytes
    touched: tuple[tuple[int, int], ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class _Spot:
    """A place for a hunk: lines `start` to `end` (from 0, end not included)."""

    start: int
    end: int
    how: str = EXACT
    shift: Shift = UNSHIFTED


def apply_hunks(file: TextFile, hunks: Sequence[Hunk], shown: str) -> Patched:
    """All hunks, or a ToolError that names the file, the hunk, and the line that differs."""
    lines = Lines(file.lines)
    spots = _assign(hunks, [_candidates(lines, hunk, shown) for hunk in hunks], shown)
    bounds = [0, *accumulate(map(len, file.pieces))]
    edits = [
        Edit(bounds[spot.start], bounds[spot.end], _new_text(file, hunk, spot, shown))
        for hunk, spot in sorted(
            zip(hunks, spots, strict=True), key=lambda pair: (pair[1].start, pair[1].end)
        )
    ]
    remarks = tuple(
        f"{hunk.label} is not there exactly; it matched {extent(spot.start + 1, spot.end)} {spot.how}"
        for hunk, spot in zip(hunks, spots, strict=True)
        if spot.how != EXACT
    )
    touched = tuple(_touched(hunk, spot) for hunk, spot in zip(hunks, spots, strict=True))
    return Patched(file.splice(edits), touched, remarks)


def added_text(hunks: Sequence[Hunk]) -> str:
    """The content of a file that a patch adds."""
    text = "".join(line.text + "\n" for hunk in hunks for line in hunk.lines)
    return text.removesuffix("\n") if hunks and hunks[-1].new_open else text


def verify_whole(file: TextFile, hunks: Sequence[Hunk], shown: str) -> None:
    """A diff that deletes a file shows its content: it must be that."""
    old = [line for hunk in hunks for line in hunk.old]
    if hunks and [line.rstrip() for line in old] != [line.rstrip() for line in file.lines]:
        raise _mismatch(shown, hunks[0], file.lines, old)


def _candidates(lines: Lines, hunk: Hunk, shown: str) -> list[_Spot]:
    block = hunk.old
    if not block:
        return _insertions(lines, hunk, shown)
    how, hits = lines.find(block)
    spots = [_Spot(hit.index, hit.index + len(block), how, hit.shift) for hit in hits]
    if not spots:
        raise _mismatch(shown, hunk, lines.exact, block)
    if hunk.end_of_file:
        spots = [spot for spot in spots if spot.end == len(lines.exact)] or spots
    if hunk.start is not None:
        spots = [spot for spot in spots if spot.start == (hunk.start or 1) - 1] or spots
    return _after_anchors(lines, hunk, spots, shown) if hunk.anchors else spots


def _insertions(lines: Lines, hunk: Hunk, shown: str) -> list[_Spot]:
    """Where lines go that come without any context: after the anchor, at the line named, or at the end."""
    if hunk.anchors:
        places = _chain(lines, hunk.anchors)
        if not places:
            raise _no_anchor(lines, hunk, shown)
        return [_Spot(place + 1, place + 1) for place in places]
    if hunk.start is None or hunk.end_of_file:
        return [_Spot(len(lines.exact), len(lines.exact))]
    at = max(0, hunk.start - 1)
    if at > len(lines.exact):
        raise ToolError(
            f"{shown}: {hunk.label} goes in before line {hunk.start}; the file has {len(lines.exact)} lines."
        )
    return [_Spot(at, at)]


def _after_anchors(lines: Lines, hunk: Hunk, spots: list[_Spot], shown: str) -> list[_Spot]:
    """The first place after each occurrence of the anchors.

    Where an anchor is part of the hunk, that place.
    """
    anchored: dict[int, _Spot] = {}
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


def _assign(hunks: Sequence[Hunk], candidates: list[list[_Spot]], shown: str) -> list[_Spot]:
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
    chosen: list[_Spot] = []
    for i, spots in enumerate(candidates):
        fitting = [spot for spot in spots if spot.start >= earliest[i] and spot.end <= latest[i + 1]]
        if not fitting:
            return _unordered(hunks, candidates, shown)
        if len(fitting) > 1:
            places = ranges([spot.start + 1 for spot in fitting])
            raise ToolError(
                f"{shown}: {hunks[i].label} matches {len(fitting)} places, at lines {places}. Nothing "
                "was changed. "
                "Give more context lines, or an `@@` line that comes before the one that is meant."
            )
        chosen.append(fitting[0])
    return chosen


def _unordered(hunks: Sequence[Hunk], candidates: list[list[_Spot]], shown: str) -> list[_Spot]:
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


def _new_text(file: TextFile, hunk: Hunk, spot: _Spot, shown: str) -> str:
    pieces = file.pieces
    last = len(pieces)
    default = _line_end(file, spot)
    out: list[str] = []
    at = taken = (
        spot.start
    )  # `taken`: the first line of the run of removed ones, for the added ones to take after
    for line in hunk.lines:
        if line.tag == "+":
            out.append(_added(file, line.text, hunk, spot, at, taken, default, shown))
            taken += 1
            continue
        if line.tag == " ":
            out.append(pieces[at])
            taken = at + 1
        at += 1
    open_end = bool(pieces) and not pieces[-1].endswith(("\n", default))
    if spot.end < last or not out:
        return "".join(out)
    wanted_open = hunk.new_open if hunk.old_open != hunk.new_open else open_end
    out = [piece if piece.endswith(("\n", default)) else piece + default for piece in out]
    if wanted_open:
        out[-1] = (
            out[-1].removesuffix("\n").removesuffix("\r") if default != "\r" else out[-1].removesuffix("\r")
        )
    return (default if open_end and spot.start == last else "") + "".join(out)


def _added(
    file: TextFile, text: str, hunk: Hunk, spot: _Spot, at: int, taken: int, default: str, shown: str
) -> str:
    if spot.how == QUOTES and taken < at:
        removed = [line for line in hunk.lines if line.tag != "+"][taken - spot.start]
        text = with_their_quotes(file.lines[taken], removed.text, text)
    shifted = spot.shift.apply(text)
    if shifted is None:
        raise ToolError(
            f"{shown}: {hunk.label} was found only with less indentation, and the line {text!r} cannot "
            "be shifted to fit. "
            "Nothing was changed."
        )
    if hunk.shows_ends:
        return shifted + "\n"
    return with_line_end(shifted + "\n", file.pieces, min(taken, max(at - 1, 0)), default)


def _line_end(file: TextFile, spot: _Spot) -> str:
    start = sum(map(len, file.pieces[: max(0, spot.start - 1)]))
    return file.line_end(start, start)


def _touched(hunk: Hunk, spot: _Spot) -> tuple[int, int]:
    """From the first changed line to the last, without the context around them."""
    at = spot.start
    removed: list[int] = []
    added: list[int] = []
    for line in hunk.lines:
        if line.tag == "-":
            removed.append(at)
        elif line.tag == "+":
            added.append(at)
        at += line.tag != "+"
    changed = removed or added or [spot.start]
    return changed[0] + 1, changed[-1] + 1


def _mismatch(shown: str, hunk: Hunk, lines: Sequence[str], block: Sequence[str]) -> ToolError:
    return ToolError(
        f"{shown}: {hunk.label} does not match the file. Nothing was changed.\n{describe(lines, block)}"
    )


def _no_anchor(lines: Lines, hunk: Hunk, shown: str) -> ToolError:
    anchor = hunk.anchors[-1]
    return ToolError(
        f"{shown}: {hunk.label}: no line of the file is `{anchor}` (after the `@@` lines before it). "
        f"Nothing was changed.\n{describe(lines.exact, [anchor])}"
    )
