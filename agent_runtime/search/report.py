"""The text of a search result for the model, in bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Literal

from agent_runtime.files.line_numbers import visible
from agent_runtime.lazy import dataclass
from agent_runtime.search.results import FileMatches, SearchMatch

Mode = Literal["content", "files", "count"]
_LINE_LIMIT = 400  # characters of a line that matches


@dataclass
class SearchReport:
    """The lines that are reported, as they are found.

    Args:
        display_path: returns a path as the model sees it.
        mode: matching lines, names of files, or matching lines per file.
        limit: how many of these.
        budget: bytes.
    """

    display_path: Callable[[Path], str]
    mode: Mode
    limit: int
    budget: int
    _lines: list[str] = field(default_factory=list)
    _count: int = 0
    _full: bool = False

    def add(self, file: FileMatches) -> bool:
        """Add a file. Returns whether there is space for more."""
        path = self.display_path(file.path)
        if self.mode == "files":
            self._put(path)
        elif self.mode == "count":
            self._put(f"{path}:{sum(hit.matches for hit in file.hits)}")
        else:
            self._add_lines(path, file.hits)
        return not self._full

    def text(self, nothing: str, notes: list[str]) -> str:
        """Return the whole text: the lines, or `nothing` if there are none, and notes."""
        if self._lines and self._lines[-1] == "--":
            self._lines.pop()
        what = "files" if self.mode != "content" else "matches"
        if self._full:
            notes = [
                f"the first {self._count} {what}; there are more: narrow the search, or raise the limit",
                *notes,
            ]
        return "\n".join([*(self._lines or [nothing]), *(f"[{note}]" for note in notes)])

    @property
    def empty(self) -> bool:
        """Whether nothing was found."""
        return not self._lines

    def _add_lines(self, path: str, hits: tuple[SearchMatch, ...]) -> None:
        context = any(not hit.matches for hit in hits)
        before = None
        for hit in hits:
            apart = before is not None and hit.line != before + 1
            if context and self._lines and (apart or before is None):
                self._put("--", counts=False)
            before = hit.line
            sign = ":" if hit.matches else "-"
            self._put(f"{path}{sign}{hit.line}{sign}{_shortened(hit)}", counts=hit.matches)

    def _put(self, line: str, counts: bool = True) -> None:
        line = visible(line)
        size = len(line.encode()) + 1
        if self._full or (counts and self._count >= self.limit) or (self._lines and self.budget < size):
            self._full = True
            return
        self.budget -= size
        self._count += counts
        self._lines.append(line)


def _shortened(hit: SearchMatch) -> str:
    """The line, or the part of it around the match when it is long."""
    if len(hit.text) <= _LINE_LIMIT:
        return hit.text
    start = max(0, min(hit.at - 100, len(hit.text) - _LINE_LIMIT))
    end = start + _LINE_LIMIT
    return ("..." if start else "") + hit.text[start:end] + ("..." if end < len(hit.text) else "")
