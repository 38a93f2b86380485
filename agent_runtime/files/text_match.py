"""Where the model's text is in a file: exactly, or else in the only place that it can mean.

Four tolerances, tried in turn, each only where it leaves one place: the line end at the end of the file; blanks at the
ends of lines; typographic quotes, dashes and spaces for plain ones; and a block whose indentation is shifted as a
whole. The caller reports which one was used. All searches take time in proportion to the text, however often its
lines repeat.
"""

from __future__ import annotations

import sys
from itertools import accumulate

from agent_runtime.files.line_match import (
    EXACT,
    INDENT,
    QUOTES,
    TRAILING,
    UNSHIFTED,
    Lines,
    Shift,
    fold,
    most_counted,
)
from agent_runtime.lazy import dataclass

END = "except for the line end at the end of the file"


@dataclass(frozen=True)
class Span:
    """A match in a text, in characters. `open_end`: the last line end of the model's text is not in the file."""

    start: int
    end: int
    shift: Shift = UNSHIFTED
    open_end: bool = False


@dataclass(frozen=True)
class Matches:
    """All places that match, and how: EXACT, or the first tolerance under which anything matched.

    `complete`: there are no more than these.
    """

    how: str
    spans: tuple[Span, ...]
    complete: bool = True


def find(text: str, wanted: str, *, every: bool = False, tolerant: bool = True) -> Matches:
    """Return the places of `wanted` in `text`, both with LF line ends.

    Overlapping places are included, unless `every` place is to be replaced. Only exact ones, unless `tolerant`.
    """
    starts, complete = _starts(text, wanted, overlapping=not every)
    if starts:
        return Matches(EXACT, tuple(Span(start, start + len(wanted)) for start in starts), complete)
    if not tolerant or not wanted.strip():
        return Matches(EXACT, ())
    # as if the file had one more line end, where the model's text has one at its end
    closed = text + "\n" if wanted.endswith("\n") else text
    if closed.endswith(wanted):
        return Matches(END, (Span(len(closed) - len(wanted), len(text), open_end=True),))
    folded = fold(closed)
    for how, searched, meant in ((TRAILING, closed, wanted), (QUOTES, folded, fold(wanted))):
        if how == TRAILING or (searched, meant) != (closed, wanted):
            spans, complete = _trailing(searched, meant)
            if spans:
                return Matches(how, tuple(_clipped(span, len(text)) for span in spans), complete)
    return _by_lines(text, wanted)


def _clipped(span: Span, size: int) -> Span:
    return span if span.end <= size else Span(span.start, size, span.shift, open_end=True)


def _starts(text: str, wanted: str, *, overlapping: bool = True) -> tuple[list[int], bool]:
    """Offsets of a text in another, and whether they are all."""
    starts: list[int] = []
    step, most = (1, most_counted(len(wanted))) if overlapping else (len(wanted), sys.maxsize)
    at = text.find(wanted)
    while at >= 0 and len(starts) < most:
        starts.append(at)
        at = text.find(wanted, at + step)
    return starts, at < 0


def _trailing(text: str, wanted: str) -> tuple[list[Span], bool]:
    """Places of a text when blanks at the ends of lines do not count, and whether they are all."""
    lines = text.split("\n")
    stripped = [line.rstrip(" \t") for line in lines]
    *whole, last = wanted.split("\n")
    begun = last.rstrip(" \t")
    to_line_end = begun != last
    pattern = "\n".join([*(line.rstrip(" \t") for line in whole), begun])
    # of the stripped lines, in the text searched
    bounds = [
        0,
        *accumulate(len(line) + 1 for line in stripped),
    ]
    origins = [0, *accumulate(len(line) + 1 for line in lines)]
    searched = "\n".join(stripped) + "\n"
    starts, complete = _starts(searched, pattern + "\n" if to_line_end else pattern)
    spans: list[Span] = []
    index = 0
    for start in starts:
        while bounds[index + 1] <= start:
            index += 1
        last_index = index + len(whole)
        # where the text begins with a line end, the blanks before it are part of the match
        begin = origins[index] + start - bounds[index]
        if to_line_end:
            end = origins[last_index] + len(lines[last_index])
        else:
            end = origins[last_index] + start + len(pattern) - bounds[last_index]
        spans.append(Span(begin, end))
    return [span for span in spans if span.end <= len(text)], complete


def _by_lines(text: str, wanted: str) -> Matches:
    lines = Lines(text.split("\n"))
    block = wanted.removesuffix("\n").split("\n")
    hits = lines.shifted(block)
    starts = [0, *accumulate(len(line) + 1 for line in lines.exact)]
    with_end = wanted.endswith("\n")
    spans = (
        Span(starts[hit.index], starts[hit.index + len(block)] - (not with_end), hit.shift) for hit in hits
    )
    clipped = tuple(_clipped(span, len(text)) for span in spans)
    return Matches(INDENT, clipped, len(hits) < most_counted(len(block)))
