"""A parsed patch, whichever format it was written in: files, hunks and lines."""

from __future__ import annotations

from typing import Literal

from agent_runtime.lazy import dataclass


@dataclass(frozen=True)
class PatchLine:
    """A line of a hunk: context (" "), removed ("-") or added ("+"). `bare`: written without even the blank."""

    tag: Literal[" ", "-", "+"]
    text: str
    bare: bool = False


@dataclass(frozen=True)
class Hunk:
    """One change of a file.

    Attributes:
        number: its position among the hunks of the file, from 1.
        line: where it begins in the patch, from 1.
        lines: its lines.
        anchors: lines of the file that come before it, outermost first.
        end_of_file: it says that it ends where the file ends.
        start: the line of the file that a unified diff names, from 1; a hint.
        old_open: the old side ends without a line end ("\\ No newline at end of file").
        new_open: the new side does.
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
        """The lines that must be in the file, without line ends."""
        return old_text(self.lines)

    @property
    def has_line_ends(self) -> bool:
        """Whether there are CRs in it. Then its line ends are written as given, else as they are in the file."""
        return any(line.text.endswith("\r") for line in self.lines)

    @property
    def label(self) -> str:
        """Its name in messages."""
        return f"hunk {self.number} (line {self.line} of the patch)"


def old_text(lines: tuple[PatchLine, ...]) -> list[str]:
    """Return the context and the removed lines, without line ends."""
    return [line.text.removesuffix("\r") for line in lines if line.tag != "+"]


@dataclass(frozen=True)
class FilePatch:
    """The change of one file.

    Attributes:
        action: what is done.
        path: the file.
        line: where this begins in the patch, from 1.
        hunks: its changes. Those of a file that is added have only added lines.
        move_to: its new path.
        executable: whether it is executable afterwards; None: as before.
        others: the paths to try, in order, when nothing is at `path`.
        creates: an update that creates this file when nothing is at any of these.
    """

    action: Literal["add", "update", "delete"]
    path: str
    line: int
    hunks: tuple[Hunk, ...] = ()
    move_to: str | None = None
    executable: bool | None = None
    others: tuple[str, ...] = ()
    creates: str | None = None
