"""What a patch says, whichever format it was written in: files, hunks and lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class PatchLine:
    """A line of a hunk: context (" "), taken out ("-") or put in ("+"). `bare`: written without even the blank."""

    tag: Literal[" ", "-", "+"]
    text: str
    bare: bool = False


@dataclass(frozen=True)
class Hunk:
    """One change of a file.

    `line` is where it begins in the patch; `start` the line of the file that a unified diff names (from 1),
    a hint. `anchors` are lines to be found before it, outermost first. `old_open` and `new_open` say that a
    side ends without a line end ("\\ No newline at end of file"); `marked` that the hunk says so of either
    side.
    """

    number: int
    line: int
    lines: tuple[PatchLine, ...]
    anchors: tuple[str, ...] = ()
    end_of_file: bool = False
    start: int | None = None
    old_open: bool = False
    new_open: bool = False

    @property
    def old(self) -> list[str]:
        """What must be in the file, without line ends."""
        return [line.text.removesuffix("\r") for line in self.lines if line.tag != "+"]

    @property
    def shows_ends(self) -> bool:
        """Are there CRs in it? Then its line ends are meant as they are; else those of the file are taken."""
        return any(line.text.endswith("\r") for line in self.lines)

    @property
    def label(self) -> str:
        """How an error names it."""
        return f"hunk {self.number} (line {self.line} of the patch)"


@dataclass(frozen=True)
class FilePatch:
    """What a patch does to one file. `other` is the name to try when nothing is at `path`."""

    action: Literal["add", "update", "delete"]
    path: str
    line: int
    hunks: tuple[Hunk, ...] = ()
    move_to: str | None = None
    executable: bool | None = None
    other: str | None = None
