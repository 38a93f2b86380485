"""What is on the screen of a program that draws on it: an editor, a pager, a menu, a progress display."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyte

# cursor addressing, moves up, clearing of the screen, the alternate screen: text that is no longer in lines
_DRAWS = re.compile(rb"\x1b\[(?:\d*;?\d*[HfAFd]|[0-3]?J|\?(?:1049|47|1047)[hl])")
# the alternate screen on and off (xterm's control sequences): when it goes, what was there before is back
_SWITCH = re.compile(rb"\x1b\[\?(?:1049|47|1047)([hl])")
# queries and modes that pyte trips over
_PRIVATE = re.compile(rb"\x1b\[[<=>][^@-~]*[@-~]|\x1b\[\?[\d;]*[^hl\d;]")


def draws(data: bytes) -> bool:
    """Does this output place its text on a screen?"""
    return _DRAWS.search(data) is not None


def render(data: bytes, *, rows: int, columns: int, before: bytes = b"") -> str:
    """What a person saw come: the lines that this output has scrolled out of the screen, and the screen after it, as
    text, without trailing blanks and empty lines at its end. `before`: the output before.
    """
    terminal = _Terminal(rows, columns)
    terminal.feed(before)
    seen = len(terminal.scrolled)
    terminal.feed(data)
    return terminal.text(seen)


class _Terminal:
    def __init__(self, rows: int, columns: int) -> None:
        import pyte  # only sessions with drawing programs need it

        self.scrolled: list[str] = []  # lines that have left the main screen
        scrolled = self.scrolled

        class Main(pyte.Screen):
            def index(self) -> None:
                top, bottom = self.margins or (0, self.lines - 1)
                if self.cursor.y == bottom and top == 0:
                    line = self.buffer[0]
                    scrolled.append("".join(line[column].data for column in range(self.columns)))
                super().index()

        self._main = Main(columns, rows)
        self._alternate = pyte.Screen(columns, rows)
        self._shown: pyte.Screen = self._main
        self._stream = pyte.ByteStream(self._main)

    def feed(self, data: bytes) -> None:
        for number, piece in enumerate(_SWITCH.split(_PRIVATE.sub(b"", data))):
            if number % 2:
                self._switch(self._alternate if piece == b"h" else self._main)
            else:
                self._stream.feed(piece)

    def text(self, seen: int) -> str:
        """The lines that have scrolled out after the first `seen`, and the screen."""
        above = self.scrolled[seen:] if self._shown is self._main else []
        return "\n".join(line.rstrip() for line in [*above, *self._shown.display]).rstrip("\n")

    def _switch(self, screen: pyte.Screen) -> None:
        if screen is self._shown:
            return
        if screen is self._alternate:
            screen.reset()
        self._stream.detach(self._shown)
        self._stream.attach(screen)
        self._shown = screen
