"""The new bytes of a file by the hunks of a patch. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from agent_runtime.files.line_match import EXACT
from agent_runtime.files.line_numbers import extent
from agent_runtime.files.merge_lines import with_line_end
from agent_runtime.files.patch.locate import HunkLocation, locate, mismatch
from agent_runtime.files.patch.model import Hunk
from agent_runtime.files.text_file import Edit, TextFile
from agent_runtime.lazy import dataclass


@dataclass(frozen=True)
class PatchedText:
    """The new bytes, the lines of the old file that were changed (from 1, last included), and remarks."""

    data: bytes
    changed: tuple[tuple[int, int], ...]
    remarks: tuple[str, ...]


def apply_hunks(file: TextFile, hunks: Sequence[Hunk], display: str) -> PatchedText:
    """Apply all hunks. Context lines keep the bytes of the file, added lines are as given.

    Raises:
        ToolError: a hunk does not match, or matches in several places; the message names the file, the hunk, and
            the line that differs.
    """
    locations = locate(file.lines, hunks, display)
    bounds = [0, *accumulate(map(len, file.pieces))]
    pairs = list(zip(hunks, locations, strict=True))
    edits = [
        Edit(bounds[place.start], bounds[place.end], _new_text(file, hunk, place, bounds))
        for hunk, place in sorted(pairs, key=lambda pair: (pair[1].start, pair[1].end))
    ]
    remarks = tuple(
        f"{hunk.label} is not there exactly; it matched {extent(place.start + 1, place.end)} {place.how}"
        for hunk, place in pairs
        if place.how != EXACT
    )
    return PatchedText(file.splice(edits), tuple(_changed(place) for place in locations), remarks)


def added_text(hunks: Sequence[Hunk]) -> str:
    """Return the content of a file that a patch adds."""
    text = "".join(line.text + "\n" for hunk in hunks for line in hunk.lines)
    return text.removesuffix("\n") if hunks and hunks[-1].new_open else text


def verify_whole(file: TextFile, hunks: Sequence[Hunk], display: str) -> None:
    """Check the content that a diff shows of a file that it deletes. Raises ToolError when the file has another."""
    old = [line for hunk in hunks for line in hunk.old]
    if hunks and [line.rstrip() for line in old] != [line.rstrip() for line in file.lines]:
        raise mismatch(display, hunks[0], file.lines, old)


def _new_text(file: TextFile, hunk: Hunk, place: HunkLocation, bounds: Sequence[int]) -> str:
    before = bounds[max(0, place.start - 1)]
    default = file.line_end(before, before)
    as_given = hunk.has_line_ends
    out: list[str] = []
    at = place.start
    # the line whose line end an added one takes: of a run of removed ones, each in turn
    replaced = place.start
    for line in place.lines:
        if line.tag == "+":
            text = line.text + "\n"
            near = min(replaced, max(at - 1, 0))
            out.append(text if as_given else with_line_end(text, file.pieces, near, default))
            replaced += 1
        else:
            at += 1
            if line.tag == " ":
                out.append(file.pieces[at - 1])
                replaced = at
    if place.end < len(file.pieces) or not out:
        return "".join(out)
    return _at_the_end(file, hunk, place, out, default)


def _at_the_end(file: TextFile, hunk: Hunk, place: HunkLocation, lines: Sequence[str], default: str) -> str:
    """The new end of the file. It has a line end if the old one had, unless the hunk says otherwise."""
    pieces = file.pieces
    is_open = bool(pieces) and not pieces[-1].endswith(("\n", default))
    text = "".join(line if line.endswith(("\n", default)) else line + default for line in lines)
    if hunk.new_open if hunk.old_open != hunk.new_open else is_open:
        text = text.removesuffix("\r") if default == "\r" else text.removesuffix("\n").removesuffix("\r")
    return (default if is_open and place.start == len(pieces) else "") + text


def _changed(place: HunkLocation) -> tuple[int, int]:
    """From the first changed line to the last, without the context around them."""
    at = place.start
    removed: list[int] = []
    added: list[int] = []
    for line in place.lines:
        if line.tag == "-":
            removed.append(at)
        elif line.tag == "+":
            added.append(at)
        at += line.tag != "+"
    changed = removed or added or [place.start]
    return changed[0] + 1, changed[-1] + 1
