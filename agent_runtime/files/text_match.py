"""Where the model's words are in a file: exactly, or, failing that, in the only place they can mean.

Three tolerances, tried in turn, each only where it leaves one place: blanks at the ends of lines;
typographic quotes, dashes and spaces for plain ones; and a block whose indentation is shifted as a whole.
Whoever uses one says so.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

# Character for character, so that offsets stay what they are.
_TYPOGRAPHIC = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\u3000", " ")
)

EXACT = "exactly"
TRAILING = "but for blanks at line ends"
QUOTES = "but for typographic quotes, dashes or spaces"
INDENT = "but for the indentation, shifted as a whole"


@dataclass(frozen=True)
class Shift:
    """How the file's indentation differs from the model's: `remove` at the front of a line, then put `add`.

    With `each`, every step of `remove` in the indentation is one of `add`: blanks for tabs, or the reverse.
    """

    remove: str = ""
    add: str = ""
    each: bool = False

    def apply(self, line: str) -> str | None:
        """The line as the file would have it; None when its indentation does not allow it."""
        if not line.strip():
            return line
        if not self.each:
            return self.add + line[len(self.remove) :] if line.startswith(self.remove) else None
        indentation = _indentation(line)
        steps = len(indentation) // len(self.remove)
        return self.add * steps + line.lstrip() if indentation == self.remove * steps else None


UNSHIFTED = Shift()


@dataclass(frozen=True)
class Span:
    """A match in a text, in characters."""

    start: int
    end: int
    shift: Shift = UNSHIFTED


@dataclass(frozen=True)
class Matches:
    """All places that match, and how. `how` is EXACT, or the first tolerance under which anything matched."""

    how: str
    spans: tuple[Span, ...]


def fold(text: str) -> str:
    """Typographic characters as the plain ones that a model writes for them."""
    return text.translate(_TYPOGRAPHIC)


def find(text: str, wanted: str, most: int = sys.maxsize) -> Matches:
    """Every place of `wanted` in `text` (both with LF line ends), overlapping ones included.

    No more than `most` are looked for where they match exactly.
    """
    if spans := _exact(text, wanted, most):
        return Matches(EXACT, spans)
    if not wanted.strip():
        return Matches(EXACT, ())
    if spans := _trailing(text, wanted):
        return Matches(TRAILING, spans)
    if spans := _trailing(fold(text), fold(wanted)):
        return Matches(QUOTES, spans)
    return _by_lines(text, wanted)


def _exact(text: str, wanted: str, most: int) -> tuple[Span, ...]:
    starts: list[int] = []
    at = text.find(wanted)
    while at >= 0 and len(starts) < most:
        starts.append(at)
        at = text.find(wanted, at + 1)
    return tuple(Span(start, start + len(wanted)) for start in starts)


def _trailing(text: str, wanted: str) -> tuple[Span, ...]:
    *lines, last = wanted.split("\n")
    pattern = "".join(re.escape(line.rstrip(" \t")) + r"[ \t]*\n" for line in lines) + re.escape(
        last.rstrip(" \t")
    )
    if last != last.rstrip(" \t"):
        pattern += r"[ \t]*(?=\n|\Z)"
    # from the start of a run of blanks only: else each of its characters matches
    if pattern.startswith(r"[ \t]*"):
        pattern = r"(?<![ \t])" + pattern
    compiled, spans = re.compile(pattern), []
    found = compiled.search(text)
    while found:
        spans.append(Span(*found.span()))
        found = compiled.search(text, found.start() + 1)
    return tuple(spans)


def _by_lines(text: str, wanted: str) -> Matches:
    lines = Lines(text.split("\n"))
    block = wanted.removesuffix("\n").split("\n")
    hits = lines.shifted(block)
    if not hits:
        return Matches(INDENT, ())
    starts = [0]
    for line in lines.exact:
        starts.append(starts[-1] + len(line) + 1)
    tail = 0 if wanted.endswith("\n") else 1
    ends = [min(starts[hit.index + len(block)] - tail, len(text)) for hit in hits]
    return Matches(
        INDENT, tuple(Span(starts[h.index], end, h.shift) for h, end in zip(hits, ends, strict=True))
    )


@dataclass(frozen=True)
class Hit:
    """A block of whole lines found at line `index` (from 0)."""

    index: int
    shift: Shift = UNSHIFTED


class Lines:
    """The lines of a file (without ends), ready to have blocks looked for in them."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.exact = list(lines)

    def find(self, block: Sequence[str]) -> tuple[str, list[Hit]]:
        """Every place of the block, and how it matched."""
        searches: tuple[tuple[str, Callable[[], list[Hit]]], ...] = (
            (EXACT, lambda: _blocks(self.exact, block)),
            (TRAILING, lambda: _blocks(self._rstripped, [line.rstrip() for line in block])),
            (QUOTES, lambda: _blocks(self._folded, [fold(line).rstrip() for line in block])),
            (INDENT, lambda: self.shifted(block)),
        )
        for how, search in searches:
            if hits := search():
                return how, hits
        return EXACT, []

    def shifted(self, block: Sequence[str]) -> list[Hit]:
        """Every place where the block fits when all of its lines are indented by the same more, or less."""
        stripped = [fold(line).strip() for line in block]
        if not any(stripped):
            return []
        hits: list[Hit] = []
        for hit in _blocks(self._stripped, stripped):
            shift = _shift(block, self.exact[hit.index : hit.index + len(block)])
            if shift is not None:
                hits.append(Hit(hit.index, shift))
        return hits

    @cached_property
    def _rstripped(self) -> list[str]:
        return [line.rstrip() for line in self.exact]

    @cached_property
    def _folded(self) -> list[str]:
        return [fold(line) for line in self._rstripped]

    @cached_property
    def _stripped(self) -> list[str]:
        return [line.strip() for line in self._folded]


def _blocks(lines: list[str], block: Sequence[str]) -> list[Hit]:
    hits: list[Hit] = []
    wanted, size = list(block), len(block)
    at = -1
    while size:
        try:
            at = lines.index(wanted[0], at + 1, max(0, len(lines) - size + 1))
        except ValueError:
            break
        if lines[at : at + size] == wanted:
            hits.append(Hit(at))
    return hits


def _shift(block: Sequence[str], there: Sequence[str]) -> Shift | None:
    """The one shift that makes the block's indentation that of the lines there; None when there is none."""
    pairs = [
        (_indentation(mine), _indentation(theirs))
        for mine, theirs in zip(block, there, strict=True)
        if mine.strip()
    ]
    shifts = {_difference(mine, theirs) for mine, theirs in pairs}
    if len(shifts) == 1 and (shift := shifts.pop()):
        return shift
    tab, blanks = "\t", [" " * width for width in (2, 4, 8)]
    units = [(blank, tab) for blank in blanks] + [(tab, blank) for blank in blanks]
    for remove, add in units:
        shift = Shift(remove, add, each=True)
        if all(shift.apply(f"{mine}x") == f"{theirs}x" for mine, theirs in pairs):
            return shift
    return None


def _difference(mine: str, theirs: str) -> Shift | None:
    if theirs.endswith(mine):
        return Shift(add=theirs[: len(theirs) - len(mine)])
    if mine.endswith(theirs):
        return Shift(remove=mine[: len(mine) - len(theirs)])
    return None


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
