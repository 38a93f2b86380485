"""How a line of a file differs from a line that a model gave, as a sentence."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from agent_runtime.files.line_match import fold
from agent_runtime.files.line_numbers import clip
from agent_runtime.lazy import lazy_pattern

_ELISION = lazy_pattern(r"\W*(\.\.\.|…)\W*.{0,60}")  # slow on long lines
_ELISION_LONG = 80  # characters


def difference(
    lines: Sequence[str], block: Sequence[str], theirs: int | None, mine: int | None, at: int
) -> str:
    """Say how line `theirs` of the file differs from line `mine` of the block, of which one may be missing (None)."""
    if mine is None and theirs is not None:
        return f"Line {theirs + 1} is missing in what you gave: the file has {clip(lines[theirs], 160)!r}."
    assert mine is not None
    given = clip(block[mine], 160)
    if theirs is None:
        if at >= len(lines):
            return f"Line {at + 1} differs: the file ends there, you gave {given!r}."
        return f"Line {mine + 1} of what you gave, {given!r}, is not in the file before line {at + 1}."
    if lines[theirs] == block[mine]:
        return ""
    how = _kind(lines[theirs], block[mine])
    there = clip(lines[theirs], 160)
    return f"Line {theirs + 1} differs{how}: the file has {there!r}, you gave {given!r}."


def is_elision(line: str) -> bool:
    """Return whether a line is `...` for lines that were left out, with a short comment at most."""
    return len(line) <= _ELISION_LONG and _ELISION.fullmatch(line) is not None


def _kind(there: str, given: str) -> str:
    """How two lines differ, if the difference is hard to see."""
    if there.strip() == given.strip():
        return (
            " only in its indentation" if there.rstrip() != given.rstrip() else " only in blanks at its end"
        )
    if unicodedata.normalize("NFC", there) == unicodedata.normalize("NFC", given):
        composed = "composed" if len(there) < len(given) else "decomposed"
        return f" only in the form of accented letters (those of the file are {composed})"
    for what, same in (
        ("upper and lower case", str.casefold),
        ("blanks", lambda line: "".join(line.split())),
        ("typographic characters", fold),
    ):
        if same(there) == same(given):
            return f" only in {what}"
    return ""
