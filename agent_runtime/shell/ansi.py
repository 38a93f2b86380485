"""Terminal control sequences, and what a person would see of a line of output that contains them.

`clean` works line by line, so that cleaning a text whole or in lines gives the same.
"""

from __future__ import annotations

import re
from itertools import pairwise

from agent_runtime.lazy import lazy_pattern
from agent_runtime.shell.cells import Row, to_cells

# A string sequence (OSC, DCS, SOS, PM, APC) ends with its terminator, and at the latest with the line: where the
# terminator is missing, no more than that is swallowed.
CSI = r"\x1b\[[0-?]*[ -/]*[@-~]"  # ECMA-48
STRING = r"\x1b\][^\x07\x18\x1a\x1b\n]*(?:\x07|\x1b\\)?|\x1b[PX^_][^\x18\x1a\x1b\n]*(?:\x1b\\)?"
OTHER = r"\x1b[ -/]+[0-~]|\x1b[0-~]|\x1b"  # charsets and the like
CUT = r"\x1b(?:\[[0-?]*[ -/]*|[PX^_\]][^\x07\x18\x1a\x1b\n]*|[ -/]*)\Z"  # one of these at the end of a text
UNFINISHED = lazy_pattern(CUT)
ESCAPE = lazy_pattern(f"{CSI}|{STRING}|{OTHER}")

# columns of the line that `clean` edits; a longer line continues on the next row, as on a terminal
_WIDTH = 1000
_SCREEN = 200  # columns that the screen of a person has at most
# CSI and escape sequences that move in the line or erase in it
_EDIT = lazy_pattern(r"\x1b\[[0-9]*[GCDKPXa`@]|\x1b\[[su]|\x1b[78]")
_SPECIAL = lazy_pattern(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CONTROLS = {code: None for code in [*range(1, 9), *range(14, 32), *range(0x7F, 0xA0)]} | {
    0: "\ufffd",
}
_NOT_EDITING = {code: text for code, text in _CONTROLS.items() if chr(code) not in "\b\x1b"}
_WORD = lazy_pattern(r"[^\W\d_]+")
_TOKEN = lazy_pattern(rf"[\r\b\t]|{_EDIT.pattern}|[^\r\b\t\x1b]+")


def strip_escapes(text: str) -> str:
    """Remove all control sequences from a text; other control characters are kept."""
    return ESCAPE.sub("", text)


def clean(text: str) -> str:
    """Return the text as a terminal displays it. NUL becomes U+FFFD, other control characters are removed."""
    if not _SPECIAL.search(text):
        return text
    return "\n".join(map(_clean_line, re.split("[\n\v\f]", text)))


def _clean_line(line: str) -> str:
    if not _SPECIAL.search(line):
        return line
    line = line.rstrip("\r")
    if "\x1b" in line:
        line = ESCAPE.sub(lambda code: code.group() if _EDIT.fullmatch(code.group()) else "", line)
    if "\r" in line and not ("\b" in line or "\x1b" in line) and _has_lines(pieces := line.split("\r")):
        line = "\n".join(pieces)
    if "\r" in line or "\b" in line or "\x1b" in line:
        line = "".join(_Editor().edit(line.translate(_NOT_EDITING)))
    return line.translate(_CONTROLS)


def _has_lines(pieces: list[str]) -> bool:
    """Return whether carriage returns are line ends here. Each state of a progress display begins or ends with the
    same word as the one before it; most lines of a text do not.
    """
    words = [_WORD.findall(piece) for piece in pieces]
    pairs = list(pairwise(words))
    same = sum(one[:1] == two[:1] or one[-1:] == two[-1:] for one, two in pairs)
    return len(pairs) >= 2 and 2 * same <= len(pairs)


class _Editor:
    """A line of at most _WIDTH columns, and the complete rows before it."""

    def __init__(self) -> None:
        self._full: list[str] = []
        self._row = Row()
        self._column = self._saved = 0

    def edit(self, line: str) -> list[str]:
        """Print the line, with all that moves and erases in it; the rows that this gives."""
        for token in _TOKEN.findall(line):
            if token == "\r":
                self._column = 0
            elif token == "\b":
                self._column = max(min(self._column, _WIDTH - 1) - 1, 0)
            elif token == "\t":
                stop = min((self._column // 8 + 1) * 8, _WIDTH)
                self._row.tab(self._column, stop)
                self._column = stop
            elif token[0] == "\x1b":
                self._control(token[-1], int(token[2:-1][:5] or 0) if token[1] == "[" else 0)
            else:
                self._print(token)
        last = self._row_text()
        return [*self._full, last.rstrip(" ") if "\x1b" in line else last]

    def _row_text(self) -> str:
        # text behind more blanks than a screen is wide would stand on a row of its own
        text = self._row.text
        short = text.lstrip(" ")
        return text if len(text) - len(short) < _SCREEN else short

    def _print(self, text: str) -> None:
        cells = to_cells(self._row.join(self._column, text))
        start = 0
        while start < len(cells):
            if self._column >= _WIDTH:
                self._full.append(self._row_text())
                self._row, self._column = Row(), 0
            piece = cells[start : start + _WIDTH - self._column]
            self._row.put(self._column, piece)
            self._column += len(piece)
            start += len(piece)

    def _control(self, final: str, number: int) -> None:
        row, column, count = self._row, min(self._column, _WIDTH - 1), max(number, 1)
        if final in "G`":
            self._column = min(count, _WIDTH) - 1
        elif final in "Ca":
            self._column = min(column + count, _WIDTH - 1)
        elif final == "D":
            self._column = max(column - count, 0)
        elif final == "K" and number <= 2:
            row.erase(0 if number else column, column + 1 if number == 1 else _WIDTH)
        elif final == "P":
            row.delete(column, count)
        elif final == "X":
            row.erase(column, column + count)
        elif final == "@":
            row.insert(column, " " * min(count, _WIDTH), _WIDTH)
        elif final in "s7":
            self._saved = self._column
        elif final in "u8":
            self._column = self._saved
