"""A virtual terminal: renders the screen of a program as text.

It follows xterm's control sequences as far as they place text. Whatever a program prints, each character that is not
overwritten or erased is in the text, no input raises, and the time is proportional to the number of bytes.
"""

from __future__ import annotations

import codecs

from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.shell.ansi import CSI, OTHER, STRING, UNFINISHED
from agent_runtime.shell.control_functions import CHARACTERS, ESCAPES, SEQUENCES
from agent_runtime.shell.grid import Grid
from agent_runtime.shell.screen_buffer import Scrolled, as_text

_TOKEN = lazy_pattern(rf"[^\x00-\x1f\x7f-\x9f]+|{CSI}|{STRING}|{OTHER}|[\x00-\x1f\x7f-\x9f]")
_UNFINISHED_LIMIT = 4096  # characters of a control sequence that are kept until its end comes
_STRING_END = lazy_pattern(r"[\x07\x18\x1a\x1b\n]")
_PARAMETERS = lazy_pattern(r"\x1b\[([<=>?]?)([0-9:;]*)([^@-~]*)(.)")
# cursor addressing, vertical movement, clearing and scrolling of the screen, the alternate screen
_DRAWS = lazy_pattern(
    rb"\x1b(?:\[[0-9;]*[ABEFHJLMSTdefr]|\[[su]|[78Mc]|\[\?(?:[0-9;]*;)?(?:47|104[79])(?:;[0-9;]*)?[hl])"
)
_REPLIES_LIMIT = 4096  # bytes: a program that asks more without reading gets no answers
_LARGEST = 9999  # a larger parameter means the same on every screen
_REPLIES = {
    ("n", 5): "\x1b[0n",  # status: ready
    ("c", 0): "\x1b[?62;22c",  # device attributes: VT220, colours
    (">c", 0): "\x1b[>1;10;0c",
    (">q", 0): "\x1bP>|agent-runtime\x1b\\",  # name and version
}
_ALTERNATE = {47, 1047, 1049}
_GRAPHICS = str.maketrans("`afgjklmnopqrstuvwxyz{|}~", "◆▒°±┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·")  # DEC special graphics


def draws(data: bytes) -> bool:
    """Return whether this output positions its text on a screen."""
    return _DRAWS.search(data) is not None


def render(data: bytes, *, rows: int, columns: int, before: bytes = b"") -> str:
    """The lines that this output has scrolled out of the screen, and the screen after it. `before`: the output before
    it, reported already.
    """
    screen = Screen(rows, columns)
    screen.feed(before)
    screen.take()
    screen.feed(data)
    return screen.take().head


@dataclass(frozen=True)
class Drawn:
    """The text of a screen, without trailing blanks and empty lines at its end.

    `head` and `tail` are the same text unless something between them is missing: `missing_bytes` of it, in
    `missing_lines` lines.
    """

    head: str
    tail: str
    missing_bytes: int = 0
    missing_lines: int = 0


class Screen:
    """A screen of `rows` times `columns`, and the lines that have scrolled out of it.

    Attributes:
        replies: what the terminal answers to the queries in what it was fed, to be typed into the program.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.replies = bytearray()
        self._grid = Grid(rows, columns)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._unfinished = ""
        self._in_string = False  # too long to be kept: passed over up to its end
        self._last = " "  # the character that REP repeats
        self._charsets, self._shifted = ["B", "B"], 0

    def feed(self, data: bytes) -> None:
        """Print bytes, which may end inside a character or a control sequence."""
        text = self._unfinished + self._decoder.decode(data)
        if self._in_string:
            end = _STRING_END.search(text)
            text = text[end.end() if end[0] == "\x07" else end.start() :] if end else ""
            self._in_string = not end
        begin = UNFINISHED.search(text, max(text.rfind("\x1b"), 0))
        end_of_text = begin.start() if begin else len(text)
        self._unfinished = text[end_of_text:]
        if len(self._unfinished) > _UNFINISHED_LIMIT:
            self._in_string = self._unfinished[1] != "["
            self._unfinished, end_of_text = "", end_of_text if self._in_string else len(text)
        for token in _TOKEN.findall(text[:end_of_text]):
            if token.startswith("\x1b["):
                self._sequence(token)
            elif token[0] == "\x1b":
                self._escape(token)
            elif action := CHARACTERS.get(token):
                action(self._grid)
            elif token in "\x0e\x0f":
                self._shifted = int(token == "\x0e")
            elif token[0] >= " " and not "\x7f" <= token[0] <= "\x9f":
                self._print(token)

    def skip(self, size: int, lines: int) -> None:
        """Note that `size` bytes of the output, with so many lines, are not going to be fed."""
        self._unfinished, self._in_string = "", False
        self._decoder.reset()
        self._grid.skip(size, lines)

    def take(self) -> Drawn:
        """The lines that have scrolled out since the last look, and the screen. Main-screen text that has come since
        then is there also while the alternate screen is in use.
        """
        grid = self._grid
        segments: list[list[str]] = [[]]
        on_screen: list[str] = []
        missing_bytes = missing_lines = 0
        for buffer in [grid.main] if grid.buffer is grid.main else [grid.main, grid.buffer]:
            scrolled, buffer.scrolled = buffer.scrolled, Scrolled()
            missing_bytes += scrolled.missing_bytes
            missing_lines += scrolled.missing_lines
            segments[-1] += scrolled.first
            if scrolled.missing_bytes:
                segments.append([])
            segments[-1] += scrolled.last
            segments[-1] += buffer.new_lines() if buffer is not grid.buffer else ()
            on_screen = buffer.take()
        segments[-1] += on_screen
        for middle in segments[1:-1]:
            missing_bytes += len("".join(middle).encode("utf-8", "replace"))
            missing_lines += "".join(middle).count("\n")
        head = as_text(segments[0])
        return Drawn(head, as_text(segments[-1]) if len(segments) > 1 else head, missing_bytes, missing_lines)

    def _print(self, text: str) -> None:
        if self._charsets[self._shifted] == "0":
            text = text.translate(_GRAPHICS)
        self._last = text[-1]
        self._grid.print(text)

    def _escape(self, token: str) -> None:
        final = token[-1]
        if len(token) == 3 and token[1] in "()":
            self._charsets[token[1] == ")"] = final
        elif token == "\x1bc":
            self._reset()
        elif len(token) == 2 and (action := ESCAPES.get(final)):
            action(self._grid)
        elif token.startswith(("\x1b]10;?", "\x1b]11;?")):  # the colours of text and background
            shade = "ffff" if token[3] == "0" else "0000"
            self._reply(f"\x1b]1{token[3]};rgb:{shade}/{shade}/{shade}\x1b\\")
        elif token.startswith("\x1bP") and token[2:4] in ("+q", "$q"):
            self._reply(f"\x1bP0{token[2]}r\x1b\\")  # no such capability, no such setting

    def _sequence(self, token: str) -> None:
        found = _PARAMETERS.fullmatch(token)
        if found is None:
            return
        private, numbers, between, final = found.groups()
        values = [_number(value) for value in numbers.split(";", 16)[:16]]
        if between or private in ("<", "=", ">"):
            self._query(private + between + final, values[0])
        elif private and final not in "JK":
            self._private(final, values)
        elif action := SEQUENCES.get(final):
            action(self._grid, values[0], values[1] if len(values) > 1 else 0)
        elif final in "hl":
            self._grid.inserts = final == "h" if 4 in values else self._grid.inserts
        elif final == "b":
            self._grid.print(self._last * min(max(values[0], 1), self._grid.width))
        else:
            self._query(final, values[0])

    def _private(self, final: str, values: list[int]) -> None:
        grid = self._grid
        if final not in "hl":
            self._query("?" + final, values[0])
            return
        for mode in values:
            if mode in _ALTERNATE:
                grid.switch(alternate=final == "h")
            elif mode == 7:
                grid.wraps = final == "h"
            elif mode == 6:
                grid.is_relative = final == "h"
                grid.move_to(0, 0)

    def _query(self, name: str, value: int) -> None:
        grid = self._grid
        if name in ("n", "?n") and value == 6:
            y = grid.y - grid.top if grid.is_relative else grid.y
            reply = f"\x1b[{name[:-1]}{y + 1};{grid.x + 1}R"
        elif name == "t" and value in (18, 19):
            reply = f"\x1b[{value - 10};{grid.height};{grid.width}t"
        elif name in ("$p", "?$p"):
            reply = f"\x1b[{name[:-2]}{value};0$y"  # the mode is not known
        elif name == "!p":
            grid.reset_modes()
            return
        else:
            reply = _REPLIES.get((name, value), "")
        self._reply(reply)

    def _reply(self, text: str) -> None:
        if len(self.replies) < _REPLIES_LIMIT:
            self.replies += text.encode()

    def _reset(self) -> None:
        grid = self._grid
        grid.switch(alternate=False)
        grid.reset_modes()
        grid.erase_in_display(2)
        grid.move(x=0, y=0)
        self._charsets, self._shifted = ["B", "B"], 0


def _number(text: str) -> int:
    return min(int(text.partition(":")[0].lstrip("0")[:6] or 0), _LARGEST)
