"""The operations on the cursor and the cells of a terminal's screen."""

from __future__ import annotations

from collections.abc import Sequence

from agent_runtime.shell.cells import Row, to_cells
from agent_runtime.shell.screen_buffer import Buffer, line_of


class Grid:
    """Two screens of `height` times `width` cells, one of them in use, and what acts on its cursor and its cells.

    The column of the cursor is `width` when the last character was written into the last cell of its row: the next one
    goes to the next row.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.main = self.buffer = Buffer(height)
        self.reset_modes()

    def reset_modes(self) -> None:
        """The initial modes of a terminal."""
        self.top, self.bottom = 0, self.height - 1  # the scroll region
        self.wraps, self.inserts, self.is_relative = True, False, False
        self.stops = bytearray(int(column % 8 == 0) for column in range(self.width))

    @property
    def x(self) -> int:
        """The column of the cursor."""
        return min(self.buffer.x, self.width - 1)

    @property
    def y(self) -> int:
        """The row of the cursor."""
        return self.buffer.y

    @property
    def row(self) -> Row:
        """The row of the cursor."""
        found = self.buffer.rows[self.buffer.y]
        if found is None:
            found = self.buffer.rows[self.buffer.y] = Row()
        return found

    def print(self, text: str) -> None:
        """Write a text at the cursor."""
        buffer, row = self.buffer, self.row
        cells = to_cells(row.join(buffer.x, text))
        start = 0
        while start < len(cells):
            if buffer.x >= self.width:
                row = self._next(row, is_wide=start + 1 < len(cells) and not cells[start + 1])
            piece = cells[start : start + self.width - buffer.x]
            start += len(piece)
            is_cut = start < len(cells) and not cells[start]
            if is_cut:  # a wide character goes to the next row as a whole
                piece, start = piece[:-1], start - 1
            if self.inserts:
                row.insert(buffer.x, piece, self.width)
            else:
                row.put(buffer.x, piece)
            buffer.x += len(piece) + is_cut

    def _next(self, row: Row, *, is_wide: bool) -> Row:
        if not self.wraps:
            self.buffer.x = self.width - 1 - is_wide
            return row
        row.continues = True
        self.line_feed()
        self.buffer.x = 0
        return self.row

    def move(self, *, x: int | None = None, y: int | None = None) -> None:
        """Move the cursor, within the bounds of the screen."""
        self.buffer.x = self.x if x is None else max(0, min(x, self.width - 1))
        if y is not None:
            self.buffer.y = max(0, min(y, self.height - 1))

    def move_to(self, y: int, x: int) -> None:
        """Move the cursor, relative to the scroll region in origin mode."""
        if self.is_relative:
            y = min(self.top + y, self.bottom)
        self.move(x=x, y=y)

    def tab(self, count: int) -> None:
        """Move forward to a tab stop."""
        for _ in range(min(count, self.width)):
            stop = self.stops.find(1, self.x + 1)
            stop = stop if stop > 0 else self.width - 1
            self.row.tab(self.x, stop)
            self.buffer.x = stop

    def tab_back(self, count: int) -> None:
        """Move back to a tab stop."""
        for _ in range(min(count, self.width)):
            self.buffer.x = max(self.stops.rfind(1, 0, self.x), 0)

    def line_feed(self) -> None:
        """Move down one row; at the end of the scroll region, scroll up."""
        self.buffer.x = self.x
        if self.buffer.y == self.bottom:
            self.scroll_up(1)
        elif self.buffer.y < self.height - 1:
            self.buffer.y += 1

    def reverse_line_feed(self) -> None:
        """Move up one row; at the start of the scroll region, scroll down."""
        if self.buffer.y == self.top:
            self.scroll_down(1)
        elif self.buffer.y > 0:
            self.buffer.y -= 1

    def scroll_up(self, count: int) -> None:
        """Scroll up: the first rows of the scroll region leave the screen."""
        scrolled = self.buffer.scrolled
        for row in self._remove(self.top, count):
            # not what was reported already, and no blank rows at the beginning
            if row.is_new if row else scrolled.first:
                scrolled.add(line_of(row))

    def scroll_down(self, count: int) -> None:
        """Scroll down: blank rows enter the scroll region, its last rows are lost."""
        self._insert(self.top, count)

    def insert_lines(self, count: int) -> None:
        """Insert blank rows at the cursor."""
        if self.top <= self.y <= self.bottom:
            self._insert(self.y, count)
            self.move(x=0)

    def delete_lines(self, count: int) -> None:
        """Delete rows from the cursor on; those below them move up."""
        if self.top <= self.y <= self.bottom:
            self._remove(self.y, count)
            self.move(x=0)

    def erase_in_line(self, mode: int) -> None:
        """Blank the row of the cursor: from the cursor (0), up to it (1), or completely (2)."""
        if mode <= 2:
            self.row.erase(0 if mode else self.x, self.x + 1 if mode == 1 else self.width)

    def erase_in_display(self, mode: int) -> None:
        """Blank the screen: from the cursor (0), up to it (1), or completely (2)."""
        rows, y = self.buffer.rows, self.buffer.y
        if mode <= 1:
            self.erase_in_line(mode)
        if mode in (0, 2):
            start = y + 1 if mode == 0 else 0
            rows[start:] = [None] * (self.height - start)
        elif mode == 1:
            rows[:y] = [None] * y

    def switch(self, *, alternate: bool) -> None:
        """Switch to the alternate screen, which is cleared, or back to the main screen."""
        if alternate and self.buffer is self.main:
            self.buffer = Buffer(self.height)
            self.buffer.x, self.buffer.y = self.main.x, self.main.y
        elif not alternate:
            self.buffer = self.main

    def skip(self, size: int, lines: int) -> None:
        """Note that a part of the output was not printed here.

        The screen is reported up to this point, and blank from here on.
        """
        for line in self.buffer.new_lines():
            self.buffer.scrolled.add(line)
        self.buffer.scrolled.skip(size, lines)
        self.buffer.rows = [None] * self.height

    def _remove(self, start: int, count: int) -> Sequence[Row | None]:
        rows, count = self.buffer.rows, min(count, self.bottom + 1 - start)
        removed = rows[start : start + count]
        rows[self.bottom + 1 : self.bottom + 1] = [None] * count
        del rows[start : start + count]
        return removed

    def _insert(self, start: int, count: int) -> None:
        rows, count = self.buffer.rows, min(count, self.bottom + 1 - start)
        del rows[self.bottom + 1 - count : self.bottom + 1]
        rows[start:start] = [None] * count
