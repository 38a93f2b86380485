"""Puts new text in the place of old text, and keeps the file's own bytes for what the two have in common.

A model repeats lines that it does not change, but not always exactly: it writes LF for every line end, loses blanks at
line ends, and writes plain quotes for typographic ones. So its old and its new text are compared with each other, and
lines that are in both stay as they are in the file. New lines are written as given.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

from agent_runtime.errors import ToolError
from agent_runtime.files.line_match import EXACT, QUOTES, fold
from agent_runtime.files.text_file import Edit, TextFile, end_of, split_lines
from agent_runtime.files.text_match import Matches, Span
from agent_runtime.lazy import lazy_pattern

# pairs of equal lines, or words of a line; beyond it the whole of the changed part is new
_COMPARED = 300_000
_PAIRED = 50  # changed lines that are paired with each other by their words
_TOKEN = lazy_pattern(r"\w+|.", re.DOTALL)
_SENTENCE = frozenset(",.;:!?")

Opcode = tuple[str, int, int, int, int]


def replacement(file: TextFile, matches: Matches, span: Span, old: str, new: str) -> Edit:
    """Return the edit that puts `new` where `old` was found, in the file's own line ends and indentation.

    Raises ToolError when a line of `new` cannot be indented as the place in the file is.
    """
    start, end = file.offset(span.start), file.offset(span.end)
    if span.open_end:  # the last line of the file still has no line end
        old, new = old.removesuffix("\n"), new.removesuffix("\n")
    if matches.how == EXACT and "\n" not in old and "\n" not in new:
        return Edit(start, end, new)
    there = split_lines(file.text[start:end], "\r" if file.only_cr else "\n")
    mine, wanted = split_lines(old), split_lines(new)
    if len(there) != len(mine):
        raise ToolError("old and found text differ in their number of lines")
    line_end = file.line_end(start, end)
    out: list[str] = []
    for tag, a, b, c, d in opcodes(mine, wanted):
        if tag == "equal":
            out += there[a:b]
            continue
        lines = wanted[c:d]
        if matches.how == QUOTES:
            lines = _with_own_characters(there[a:b], mine[a:b], lines)
        for i, line in enumerate(lines):
            shifted = span.shift.apply(line)
            if shifted is None:
                raise ToolError(
                    "old text was found only with less indentation than given, and the new text has a "
                    f"line that cannot be shifted to fit: {line.rstrip()!r}. Give both with the file's own indentation."
                )
            out.append(with_line_end(shifted, there, a + i, line_end))
    return Edit(start, end, "".join(out))


def opcodes(mine: Sequence[str], wanted: Sequence[str]) -> list[Opcode]:
    """Return difflib's opcodes in bounded time: what is equal at both ends is found without difflib."""
    head = 0
    while head < min(len(mine), len(wanted)) and mine[head] == wanted[head]:
        head += 1
    tail = 0
    while tail < min(len(mine), len(wanted)) - head and mine[-1 - tail] == wanted[-1 - tail]:
        tail += 1
    a, b = mine[head : len(mine) - tail], wanted[head : len(wanted) - tail]
    middle: list[Opcode] = [("replace", 0, len(a), 0, len(b))] if a or b else []
    if a and b and _equal_pairs(a, b) <= _COMPARED:
        middle = list(SequenceMatcher(None, a, b, autojunk=False).get_opcodes())
    return [
        ("equal", 0, head, 0, head),
        *((tag, i + head, j + head, k + head, n + head) for tag, i, j, k, n in middle),
        ("equal", len(mine) - tail, len(mine), len(wanted) - tail, len(wanted)),
    ]


def with_line_end(line: str, there: Sequence[str], index: int, default: str) -> str:
    """Return a line of the model's (with LF, or without a line end) with the line end of its place in the file."""
    if not line.endswith("\n"):
        return line
    content = line[:-1].removesuffix("\r")
    for i in range(min(index, len(there) - 1), -1, -1):
        if default != "\r" and there[i].endswith("\n"):
            return content + end_of(there[i])
    return content + default


def _with_own_characters(theirs: Sequence[str], mine: Sequence[str], lines: Sequence[str]) -> list[str]:
    """Return changed lines with the file's own characters where a line is a small change of one of the old lines."""
    if len(lines) > _PAIRED or len(mine) > _PAIRED:
        return list(lines)
    out: list[str] = []
    first = 0
    for line in lines:
        for i in range(first, len(mine)):
            own = _own_characters(theirs[i].rstrip("\r\n"), mine[i].rstrip("\n"), line)
            if own is not None:
                line, first = own, i + 1
                break
        out.append(line)
    return out


def _own_characters(theirs: str, mine: str, line: str) -> str | None:
    """Return a line with the typographic characters of the file, which the model wrote as plain ones.

    They are kept where the words on both sides are. Only a line that is a small change of the old one keeps any: most
    of the words are the same, no punctuation is gone, and none but that of sentences is new. None for any other
    line: it may be code in the place of a comment, in which such a character is an error.
    """
    theirs, mine = theirs.rstrip(), mine.rstrip()
    if len(theirs) != len(mine) or fold(theirs) != fold(mine):
        return None
    a, b = _TOKEN.findall(mine), _TOKEN.findall(line)
    if _equal_pairs(a, b) > _COMPARED:
        return None
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    kept = {i + k: j + k for i, j, size in matcher.get_matching_blocks() for k in range(size)}
    words = [i for i, token in enumerate(a) if _is_word(token)]
    kept_words = sum(i in kept for i in words)
    count = max(len(words), sum(map(_is_word, b)))
    signs, new_signs = (Counter(token for token in tokens if _is_sign(token)) for tokens in (a, b))
    if 2 * kept_words <= count or signs - new_signs or set(new_signs - signs) - _SENTENCE:
        return None
    same_form = [token for token in a if _is_sign(token)] == [token for token in b if _is_sign(token)]
    all_kept = same_form and len(words) == sum(map(_is_word, b))
    out = list(b)
    at = 0
    for i, token in enumerate(a):
        own = theirs[at : at + len(token)]
        at += len(token)
        if own == token or i not in kept:
            continue
        before = next((w for w in reversed(words) if w < i), None)
        after = next((w for w in words if w > i), None)
        if all_kept or all(w is None or w in kept for w in (before, after)):
            out[kept[i]] = own
    return "".join(out)


def _equal_pairs(a: Sequence[str], b: Sequence[str]) -> int:
    """How many pairs of equal items there are: the time that difflib takes grows with them."""
    counts = Counter(b)
    return sum(counts[item] for item in a)


def _is_word(token: str) -> bool:
    return len(token) > 1 or token.isalnum() or token == "_"


def _is_sign(token: str) -> bool:
    return not _is_word(token) and not token.isspace()
