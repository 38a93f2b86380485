"""A row of terminal cells: the text of one line while cursor movements, overwriting and erasing act on it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

_CELL_LIMIT = 32  # characters in a cell; further zero-width characters get cells of their own
_ZERO_WIDTH = {"Mn", "Me", "Cf"}  # combining marks, variation selectors, joiners


@lru_cache(4096)
def width(char: str) -> int:
    """Return the number of cells of a character: 0, 1 or 2."""
    if unicodedata.east_asian_width(char) in "WF":
        return 2
    if unicodedata.category(char) in _ZERO_WIDTH or "\u1160" <= char <= "\u11ff":  # the latter: Hangul vowels
        return 0
    return 1


def to_cells(text: str) -> Sequence[str]:
    """One entry a cell: a wide character takes two, the second one empty; a zero-width character shares the cell of the
    character before it. At the start of the text it has a cell of its own.
    """
    if text.isascii():
        return text
    cells: list[str] = []
    for char in text:
        size = width(char)
        if size == 0 and cells:
            base = -1 if cells[-1] else -2
            if len(cells[base]) < _CELL_LIMIT:
                cells[base] += char
                continue
        cells.append(char)
        if size == 2:
            cells.append("")
    return cells


class Row:
    """The cells of a line; those after the last are blank.

    Attributes:
        is_new: was it changed since it was last reported?
        continues: was it full, so that the next row continues its line?
    """

    __slots__ = ("_cells", "continues", "is_new")

    def __init__(self) -> None:
        self._cells: list[str] = []
        self.is_new = True
        self.continues = False

    def __len__(self) -> int:
        return len(self._cells)

    @property
    def text(self) -> str:
        """The text, including trailing blanks."""
        return "".join(self._cells)

    def put(self, column: int, cells: Sequence[str]) -> None:
        """Overwrite the cells from `column` on."""
        self._pad(column)
        end = column + len(cells)
        self._split(column)
        self._split(end)
        self._cells[column:end] = cells
        self.is_new = True

    def insert(self, column: int, cells: Sequence[str], limit: int) -> None:
        """Insert cells at `column`; what is moved beyond `limit` cells is lost."""
        self._pad(column)
        self._split(column)
        self._cells[column:column] = cells
        self._split(limit)
        del self._cells[limit:]
        self.is_new = True

    def tab(self, column: int, stop: int) -> None:
        """Move over the cells between: those that have never been written keep the tab."""
        start = max(column, len(self._cells))
        if start < stop:
            self.put(start, ["\t", *[""] * (stop - start - 1)])

    def join(self, column: int, text: str) -> str:
        """Add the zero-width characters that a text begins with to the cell before `column`; the rest of the text.

        They stay in the text where there is no such cell, or it is full.
        """
        if text.isascii() or width(text[0]):
            return text
        base = min(column, len(self._cells)) - 1
        if base > 0 and not self._cells[base]:
            base -= 1
        if base < max(column - 2, 0) or not self._cells[base]:
            return text
        count, limit = 0, _CELL_LIMIT - len(self._cells[base])
        while count < min(len(text), limit) and not width(text[count]):
            count += 1
        self._cells[base] += text[:count]
        self.is_new = True
        return text[count:]

    def erase(self, start: int, stop: int) -> None:
        """Blank the cells from `start` up to, but not including, `stop`."""
        self._split(start)
        self._split(stop)
        if stop >= len(self._cells):
            del self._cells[start:]
            self.continues = False
        elif start < stop:
            self._cells[start:stop] = " " * (stop - start)
        self.is_new = True

    def delete(self, column: int, count: int) -> None:
        """Remove cells; the following ones move left."""
        self._split(column)
        self._split(column + count)
        del self._cells[column : column + count]
        self.continues = False
        self.is_new = True

    def _pad(self, column: int) -> None:
        if column > len(self._cells):
            self._cells.extend(" " * (column - len(self._cells)))

    def _split(self, at: int) -> None:
        # a wide character or a tab that the edge at `at` would cut in two becomes blank
        cells = self._cells
        if not 0 < at < len(cells) or cells[at]:
            return
        start = at
        while start > 0 and not cells[start]:
            start -= 1
        end = at
        while end < len(cells) and not cells[end]:
            end += 1
        cells[start:end] = " " * (end - start)
