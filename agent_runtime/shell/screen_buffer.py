"""The rows of a terminal's screen, and the lines that have scrolled out of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import field

from agent_runtime.lazy import dataclass
from agent_runtime.shell.cells import Row

KEPT = 1 << 20  # characters of scrolled lines that are kept: half of them the first, half of them the last


@dataclass
class Scrolled:
    """Lines that have left the screen, as text: the first and the last ones, and how much between them is missing."""

    first: list[str] = field(default_factory=list)
    last: deque[str] = field(default_factory=deque)
    missing_bytes: int = 0
    missing_lines: int = 0
    _first_size: int = 0
    _last_size: int = 0

    def add(self, text: str) -> None:
        """Add a row that has left the screen."""
        if not self.missing_bytes and not self.last and self._first_size + len(text) <= KEPT // 2:
            self.first.append(text)
            self._first_size += len(text)
            return
        self.last.append(text)
        self._last_size += len(text)
        while self._last_size > KEPT // 2 and len(self.last) > 1:
            self._forget(self.last.popleft())

    def skip(self, size: int, lines: int) -> None:
        """Leave a gap of `size` bytes, in so many lines, behind the rows that have left the screen."""
        if self.missing_bytes:  # there is one gap only
            while self.last:
                self._forget(self.last.popleft())
        self.first += self.last
        self.last.clear()
        self._last_size = 0
        self.missing_bytes += size
        self.missing_lines += lines

    def _forget(self, text: str) -> None:
        self._last_size -= len(text)
        self.missing_bytes += len(text.encode("utf-8", "replace"))
        self.missing_lines += text.endswith("\n")


class Buffer:
    """The main or the alternate screen: its rows, None where nothing was written, and its cursor."""

    def __init__(self, rows: int) -> None:
        self.rows: list[Row | None] = [None] * rows
        self.scrolled = Scrolled()
        self.x = self.y = 0
        self.saved: tuple[int, int] = (0, 0)

    def new_lines(self) -> list[str]:
        """The rows that have changed since they were reported."""
        return [line_of(row) for row in self.rows if row and row.is_new]

    def take(self) -> list[str]:
        """All rows; they are reported with this."""
        lines = [line_of(row) for row in self.rows]
        for index, row in enumerate(self.rows):
            if row is None and index <= self.y:
                row = self.rows[index] = Row()
            if row:
                row.is_new = False
        return lines


def line_of(row: Row | None) -> str:
    """A row as text: without trailing blanks and with a line end, unless its line continues on the next row."""
    if row is None:
        return "\n"
    return row.text if row.continues else row.text.rstrip(" \t") + "\n"


def as_text(lines: Iterable[str]) -> str:
    """Return the lines of a screen without empty ones at its end."""
    return "".join(lines).rstrip("\n ")
