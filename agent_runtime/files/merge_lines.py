"""New text in the place of old, taking from the file whatever the two have in common.

A model repeats what it does not change, and not always to the byte: line ends are LF to it, blanks at line
ends are lost, quotes are straightened. So the old and the new words are compared with each other, and lines
that are in both stay as they are in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from agent_runtime.errors import ToolError
from agent_runtime.files.text_file import Edit, TextFile, end_of, split_lines
from agent_runtime.files.text_match import EXACT, QUOTES, Matches, Span, fold

_COMPARED = 4_000_000  # lines times lines; beyond it the whole of the changed part is new


def replacement(file: TextFile, matches: Matches, span: Span, old: str, new: str) -> Edit:
    """The edit that puts `new` where `old` was found, in the file's own line ends and indentation."""
    start, end = file.offset(span.start), file.offset(span.end)
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
        for i, line in enumerate(wanted[c:d]):
            twin = a + i if a + i < b else None
            if matches.how == QUOTES and twin is not None:
                line = with_their_quotes(there[twin], mine[twin], line)
            shifted = span.shift.apply(line)
            if shifted is None:
                raise ToolError(
                    "old text was found only with less indentation than given, and the new text has a "
                    f"line that cannot be shifted to fit: {line.rstrip()!r}. Give both with the file's own indentation."
                )
            out.append(with_line_end(shifted, there, a + i, line_end))
    return Edit(start, end, "".join(out))


def opcodes(mine: Sequence[str], wanted: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    """difflib's opcodes, found fast for what is alike at both ends."""
    head = 0
    while head < min(len(mine), len(wanted)) and mine[head] == wanted[head]:
        head += 1
    tail = 0
    while tail < min(len(mine), len(wanted)) - head and mine[-1 - tail] == wanted[-1 - tail]:
        tail += 1
    a, b = mine[head : len(mine) - tail], wanted[head : len(wanted) - tail]
    middle: list[tuple[str, int, int, int, int]] = [("replace", 0, len(a), 0, len(b))] if a or b else []
    if a and b and len(a) * len(b) <= _COMPARED:
        middle = list(SequenceMatcher(None, a, b, autojunk=False).get_opcodes())
    return [
        ("equal", 0, head, 0, head),
        *((tag, i + head, j + head, k + head, n + head) for tag, i, j, k, n in middle),
        ("equal", len(mine) - tail, len(mine), len(wanted) - tail, len(wanted)),
    ]


def with_line_end(line: str, there: Sequence[str], index: int, default: str) -> str:
    """A line of the model's (with LF, or without a line end) with the line end of its place in the file."""
    if not line.endswith("\n"):
        return line
    content = line[:-1].removesuffix("\r")
    for i in range(min(index, len(there) - 1), -1, -1):
        if default != "\r" and there[i].endswith("\n"):
            return content + end_of(there[i])
    return content + default


def with_their_quotes(theirs: str, mine: str, line: str) -> str:
    """Characters that the model did not mean to change (they fold to the same) as the file has them."""
    if len(theirs.rstrip()) != len(mine.rstrip()) or fold(theirs.rstrip()) != fold(mine.rstrip()):
        return line
    out: list[str] = []
    for tag, a, b, c, d in SequenceMatcher(None, mine.rstrip(), line, autojunk=False).get_opcodes():
        out.append(theirs[a:b] if tag == "equal" else line[c:d])
    return "".join(out)
