"""The final state of an output that moves back to lines already printed: progress of several lines, as of docker."""

from __future__ import annotations

from agent_runtime.lazy import lazy_pattern
from agent_runtime.shell.ansi import clean
from agent_runtime.shell.screen import Screen

# moves up by rows, or to a row
_MOVES_BACK = lazy_pattern(r"\x1b(?:\[[0-9]*[AF]|M|\[[0-9]+;[0-9]+[Hf]|\[[0-9]*d)")
_HIDES_CURSOR = "\x1b[?25l"  # before a progress display is drawn for the first time
_ROWS = 60  # a program cannot move back further
_COLUMNS = 1000


def displayed(text: str) -> str:
    """Return the text as a terminal displays it at its end.

    Up to what may be overwritten by a movement, this is the same as `clean`.
    """
    move = _MOVES_BACK.search(text)
    if move is None:
        return clean(text)
    start = move.start()
    for _ in range(_ROWS):
        start = text.rfind("\n", 0, start)
        if start < 0:
            break
    screen = Screen(_ROWS, _COLUMNS)
    drawn = text[start + 1 :].replace("\0", "\ufffd").replace("\f", "\n").replace("\n", "\r\n")
    screen.feed(drawn.encode("utf-8", "replace"))
    result = screen.take()
    if result.missing_bytes:  # more than a screen keeps
        return clean(text)
    return clean(text[: start + 1]) + result.head


def may_move_back(text: str) -> bool:
    """Return whether the text moves back to earlier lines, or is about to."""
    return _HIDES_CURSOR in text or _MOVES_BACK.search(text) is not None
