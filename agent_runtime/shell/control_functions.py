"""Executes control characters and control sequences on a terminal's screen (ECMA-48, xterm)."""

from __future__ import annotations

from collections.abc import Callable

from agent_runtime.shell.grid import Grid

Function = Callable[[Grid, int, int], object]  # the screen, the first two parameters; 0: not given


def _up(grid: Grid, count: int, _: int) -> None:
    grid.move(y=max(grid.y - max(count, 1), grid.top if grid.y >= grid.top else 0))


def _down(grid: Grid, count: int, _: int) -> None:
    grid.move(y=min(grid.y + max(count, 1), grid.bottom if grid.y <= grid.bottom else grid.height - 1))


def _next_line(grid: Grid, count: int, _: int) -> None:
    _down(grid, count, 0)
    grid.move(x=0)


def _previous_line(grid: Grid, count: int, _: int) -> None:
    _up(grid, count, 0)
    grid.move(x=0)


def _to_column(grid: Grid, column: int, _: int) -> None:
    grid.move(x=max(column, 1) - 1)


def _to_row(grid: Grid, row: int, _: int) -> None:
    grid.move_to(max(row, 1) - 1, grid.x)


def _to(grid: Grid, row: int, column: int) -> None:
    grid.move_to(max(row, 1) - 1, max(column, 1) - 1)


def _right(grid: Grid, count: int, _: int) -> None:
    grid.move(x=grid.x + max(count, 1))


def _left(grid: Grid, count: int, _: int) -> None:
    grid.move(x=grid.x - max(count, 1))


def _insert(grid: Grid, count: int, _: int) -> None:
    grid.row.insert(grid.x, " " * min(max(count, 1), grid.width), grid.width)


def _scroll_region(grid: Grid, top: int, bottom: int) -> None:
    first, last = max(top, 1) - 1, min(bottom or grid.height, grid.height) - 1
    if first < last:
        grid.top, grid.bottom = first, last
        grid.move_to(0, 0)


def _clear_stops(grid: Grid, what: int, _: int) -> None:
    if what == 3:
        grid.stops = bytearray(grid.width)
    elif what == 0:
        grid.stops[grid.x] = 0


def _set_stop(grid: Grid) -> None:
    grid.stops[grid.x] = 1


def save(grid: Grid, *_: int) -> None:
    """Save the position of the cursor."""
    grid.buffer.saved = (grid.x, grid.y)


def restore(grid: Grid, *_: int) -> None:
    """Restore the saved position of the cursor."""
    x, y = grid.buffer.saved
    grid.move(x=x, y=y)


def _return(grid: Grid) -> None:
    grid.move(x=0)


def _new_line(grid: Grid) -> None:
    grid.line_feed()
    grid.move(x=0)


CHARACTERS: dict[str, Callable[[Grid], object]] = {
    "\b": lambda grid: grid.move(x=grid.x - 1),
    "\t": lambda grid: grid.tab(1),
    "\n": Grid.line_feed,
    "\v": Grid.line_feed,
    "\f": Grid.line_feed,
    "\r": _return,
}
ESCAPES: dict[str, Callable[[Grid], object]] = {
    "7": save,
    "8": restore,
    "D": Grid.line_feed,
    "E": _new_line,
    "H": _set_stop,
    "M": Grid.reverse_line_feed,
}
SEQUENCES: dict[str, Function] = {
    "@": _insert,
    "A": _up,
    "B": _down,
    "C": _right,
    "D": _left,
    "E": _next_line,
    "F": _previous_line,
    "G": _to_column,
    "H": _to,
    "I": lambda grid, count, _: grid.tab(max(count, 1)),
    "J": lambda grid, mode, _: grid.erase_in_display(mode),
    "K": lambda grid, mode, _: grid.erase_in_line(mode),
    "L": lambda grid, count, _: grid.insert_lines(max(count, 1)),
    "M": lambda grid, count, _: grid.delete_lines(max(count, 1)),
    "P": lambda grid, count, _: grid.row.delete(grid.x, max(count, 1)),
    "S": lambda grid, count, _: grid.scroll_up(max(count, 1)),
    "T": lambda grid, count, _: grid.scroll_down(max(count, 1)),
    "X": lambda grid, count, _: grid.row.erase(grid.x, grid.x + max(count, 1)),
    "Z": lambda grid, count, _: grid.tab_back(max(count, 1)),
    "`": _to_column,
    "a": _right,
    "d": _to_row,
    "e": _down,
    "f": _to,
    "g": _clear_stops,
    "r": _scroll_region,
    "s": save,
    "u": restore,
}
