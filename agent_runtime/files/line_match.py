"""Where a block of lines is in a file: exactly, or else ignoring blanks or typographic characters.

All searches take time in proportion to the file, however often its lines repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from agent_runtime.lazy import dataclass

# Character for character, so that offsets stay the same.
_PLAIN = (
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | dict.fromkeys("\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " ")
)
_COUNTED = 200_000  # places of an ambiguous text that are counted
_COMPARED = 10_000_000  # characters, or lines, compared to count them

EXACT = "exactly"
TRAILING = "except for blanks at line ends"
QUOTES = "except for typographic quotes, dashes or spaces"
INDENT = "except for the indentation, shifted as a whole"
BLANKS = "except for blanks at the beginnings of lines; added lines are indented as given"


@dataclass(frozen=True)
class Shift:
    """How the file's indentation differs from the model's: `remove` at the front of a line, then put `add`.

    With `each`, every occurrence of `remove` in the indentation becomes one of `add`: blanks for tabs, or the reverse.
    """

    remove: str = ""
    add: str = ""
    each: bool = False

    def apply(self, line: str) -> str | None:
        """Return the line as the file would have it; None when its indentation does not allow it."""
        if not line.strip():
            return line
        if not self.each:
            return self.add + line[len(self.remove) :] if line.startswith(self.remove) else None
        indentation = _indentation(line)
        steps = len(indentation) // len(self.remove)
        return self.add * steps + line.lstrip() if indentation == self.remove * steps else None


UNSHIFTED = Shift()
_UNITS = [Shift(*pair, each=True) for n in (2, 4, 8) for pair in ((" " * n, "\t"), ("\t", " " * n))]


def fold(text: str) -> str:
    """Return the text with plain characters for the typographic ones that a model writes them for."""
    if text.isascii():
        return text
    for character, plain in _PLAIN.items():
        if character in text:
            text = text.replace(character, plain)
    return text


def most_counted(size: int) -> int:
    """Return how many places of a text of this size are counted: each takes time in proportion to the size."""
    return min(_COUNTED, max(100, _COMPARED // max(1, size)))


@dataclass(frozen=True)
class Hit:
    """A block of whole lines found at line `index` (from 0)."""

    index: int
    shift: Shift = UNSHIFTED


class Lines:
    """The lines of a file (without ends), in which blocks are looked for."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.exact = list(lines)

    def find(self, block: Sequence[str], start: int = 0) -> tuple[str, list[Hit]]:
        """Return how the block matched, and every place of it from line `start` on."""
        stripped = [fold(line).strip() for line in block]
        searches: tuple[tuple[str, Callable[[], list[Hit]]], ...] = (
            (EXACT, lambda: _blocks(self.exact, block)),
            (TRAILING, lambda: _blocks(self._rstripped, [line.rstrip() for line in block])),
            (QUOTES, lambda: _blocks(self._folded, [fold(line).rstrip() for line in block])),
            # the same shift for all lines is stronger evidence than uneven ones
            (BLANKS, lambda: self.shifted(block)),
            (BLANKS, lambda: _blocks(self._stripped, stripped) if any(stripped) else []),
        )
        for how, search in searches:
            if hits := [hit for hit in search() if hit.index >= start]:
                return how, hits
        return EXACT, []

    def shifted(self, block: Sequence[str]) -> list[Hit]:
        """Return every place where the block fits when the indentation of all its lines is changed by the same amount.

        Empty when too many places would have to be examined to be sure that there is only one.
        """
        stripped = [fold(line).strip() for line in block]
        if not any(stripped):
            return []
        shifts = _Shifts(block)
        candidates = _blocks(self._stripped, stripped)
        examined = candidates[: most_counted(len(block))]
        hits: list[Hit] = []
        for hit in examined:
            shift = shifts.to(self._indentations[hit.index : hit.index + len(block)])
            if shift is not None:
                hits.append(Hit(hit.index, shift))
        return hits if len(examined) == len(candidates) or len(hits) > 1 else []

    @cached_property
    def _rstripped(self) -> list[str]:
        return [line.rstrip() for line in self.exact]

    @cached_property
    def _folded(self) -> list[str]:
        return fold("\n".join(self._rstripped)).split("\n") if self.exact else []

    @cached_property
    def _stripped(self) -> list[str]:
        return [line.strip() for line in self._folded]

    @cached_property
    def _indentations(self) -> list[str]:
        return [_indentation(line) if line.strip() else "" for line in self.exact]


def _blocks(lines: list[str], block: Sequence[str]) -> list[Hit]:
    """Every place of a block of lines, overlapping ones included (Knuth, Morris and Pratt)."""
    if not block or set(block).difference(lines):
        return []
    borders = [0] * len(block)  # for each beginning of the block: how much of its end is a beginning again
    matched = 0
    for i in range(1, len(block)):
        while matched and block[i] != block[matched]:
            matched = borders[matched - 1]
        matched += block[i] == block[matched]
        borders[i] = matched
    hits: list[Hit] = []
    matched = 0
    for at, line in enumerate(lines):
        while matched and (matched == len(block) or line != block[matched]):
            matched = borders[matched - 1]
        matched += line == block[matched]
        if matched == len(block):
            hits.append(Hit(at - len(block) + 1))
    return hits


class _Shifts:
    """Finds the shift that makes the indentations of a block those of some lines."""

    def __init__(self, block: Sequence[str]) -> None:
        self._block = [line if line.strip() else "" for line in block]
        self._first = next(i for i, line in enumerate(self._block) if line)
        self._shifted: dict[Shift, list[str] | None] = {}

    def to(self, there: list[str]) -> Shift | None:
        """Return the one shift for all lines; None when there is none. Lines without text are not indented."""
        mine, theirs = _indentation(self._block[self._first]), there[self._first]
        shifts = list(_UNITS)
        if theirs.endswith(mine):
            shifts.insert(0, Shift(add=theirs.removesuffix(mine)))
        elif mine.endswith(theirs):
            shifts.insert(0, Shift(remove=mine.removesuffix(theirs)))
        return next((shift for shift in shifts if self._indentations(shift) == there), None)

    def _indentations(self, shift: Shift) -> list[str] | None:
        if shift not in self._shifted:
            lines = [shift.apply(line) for line in self._block]
            self._shifted[shift] = (
                None if None in lines else [_indentation(line) for line in lines if line is not None]
            )
        return self._shifted[shift]


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
