"""Finds which lines of a unified diff belong to a hunk, even if its header has wrong counts or none."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from agent_runtime.files.patch.model import PatchLine


def looks_unified(lines: Sequence[str]) -> int | None:
    """Return the index of the line at which a unified diff begins; None when there is none."""
    for i, line in enumerate(lines):
        if line.startswith("diff --git ") or (
            line.startswith("--- ") and "".join(lines[i + 1 : i + 2]).startswith("+++ ")
        ):
            return i
    return None


class HunkBody:
    """The lines of a hunk: as many as its header says, or up to the next header where it is wrong or has no counts.

    Args:
        lines: the lines of the diff.
        at: the index of the first line of the hunk.
        counts: the number of old and of new lines by the header.
    """

    def __init__(self, lines: Sequence[str], at: int, counts: tuple[int, int] | None) -> None:
        self.source, self.at, self.counts = lines, at, counts or (sys.maxsize, sys.maxsize)
        self.lines: list[PatchLine] = []
        self.old = self.new = 0
        self.old_open = self.new_open = self.cut = False

    def read(self) -> None:
        """Read the lines. `at` is then the line after the hunk; `cut`: the diff ends before the counts are reached."""
        while self.at < len(self.source) and self._take(self.source[self.at]):
            self.at += 1
        while not self._is_complete() and self.lines and self.lines[-1].bare:
            self._drop_last()
        rest = any(line.strip() for line in self.source[self.at :])
        self.cut = (self.old < self.counts[0] or self.new < self.counts[1]) and not rest

    def _take(self, line: str) -> bool:
        """Read a line. Returns False when it does not belong to the hunk."""
        if line.startswith("\\"):
            self._no_line_end()
            return True
        if self._is_complete():
            if self._is_header() or line.rstrip() == "--" or line[:1] not in ("+", "-", " "):
                return False
        elif self._is_header() and (line[:2] in ("@@", "di") or self._has_two_headers()):
            return False
        if line in ("", "\r"):
            self._add(PatchLine(" ", "", bare=True))
        elif line[0] in " +-":
            self._add(PatchLine(line[0], line[1:]))  # type: ignore[arg-type]
        else:
            return False
        return True

    def _is_complete(self) -> bool:
        return self.old >= self.counts[0] and self.new >= self.counts[1]

    def _is_header(self) -> bool:
        return looks_unified(self.source[self.at : self.at + 2]) == 0 or self.source[self.at].startswith("@@")

    def _has_two_headers(self) -> bool:
        return "".join(self.source[self.at + 2 : self.at + 3]).startswith("@@")

    def _add(self, line: PatchLine) -> None:
        self.lines.append(line)
        self.old += line.tag != "+"
        self.new += line.tag != "-"

    def _drop_last(self) -> None:
        self.lines.pop()
        self.old -= 1
        self.new -= 1

    def _no_line_end(self) -> None:
        if self.lines:
            self.old_open |= self.lines[-1].tag != "+"
            self.new_open |= self.lines[-1].tag != "-"
