"""A file's new bytes by the hunks of a patch. No I/O.

See `patchset` for the parsing, `placing` for the places of the hunks, and `patching` for several files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from agent_runtime.errors import ToolError
from agent_runtime.files.line_numbers import extent
from agent_runtime.files.merge_lines import with_line_end
from agent_runtime.files.patch.locate import HunkLocation, mismatch, placed
from agent_runtime.files.patch.model import Hunk
from agent_runtime.files.text_file import Edit, TextFile
from agent_runtime.files.text_match import EXACT


@dataclass(frozen=True)
class PatchedText:
    """The new bytes, the lines of the old file that were touched (from 1, last included), and remarks."""

    data: bytes
    touched: tuple[tuple[int, int], ...]
    remarks: tuple[str, ...]


def apply_hunks(file: TextFile, hunks: Sequence[Hunk], shown: str) -> PatchedText:
    """All hunks, or a ToolError that names the file, the hunk, and the line that differs."""
    spots = placed(file.lines, hunks, shown)
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
    return PatchedText(file.splice(edits), touched, remarks)


def added_text(hunks: Sequence[Hunk]) -> str:
    """The content of a file that a patch adds."""
    text = "".join(line.text + "\n" for hunk in hunks for line in hunk.lines)
    return text.removesuffix("\n") if hunks and hunks[-1].new_open else text


def verify_whole(file: TextFile, hunks: Sequence[Hunk], shown: str) -> None:
    """A diff that deletes a file shows its content: it must be that."""
    old = [line for hunk in hunks for line in hunk.old]
    if hunks and [line.rstrip() for line in old] != [line.rstrip() for line in file.lines]:
        raise mismatch(shown, hunks[0], file.lines, old)


def _new_text(file: TextFile, hunk: Hunk, spot: HunkLocation, shown: str) -> str:
    pieces = file.pieces
    last = len(pieces)
    default = _line_end(file, spot)
    out: list[str] = []
    # `taken`: the first line of the run of removed ones, for the added ones to take after
    at = taken = spot.start
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
    file: TextFile, text: str, hunk: Hunk, spot: HunkLocation, at: int, taken: int, default: str, shown: str
) -> str:
    shifted = spot.shift.apply(text)
    if shifted is None:
        raise ToolError(
            f"{shown}: {hunk.label} was found only with less indentation, and the line {text!r} cannot be "
            "shifted to fit. Nothing was changed."
        )
    if hunk.shows_ends:
        return shifted + "\n"
    return with_line_end(shifted + "\n", file.pieces, min(taken, max(at - 1, 0)), default)


def _line_end(file: TextFile, spot: HunkLocation) -> str:
    start = sum(map(len, file.pieces[: max(0, spot.start - 1)]))
    return file.line_end(start, start)


def _touched(hunk: Hunk, spot: HunkLocation) -> tuple[int, int]:
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
