"""The hunks of a unified diff, over bytes.

What both contents begin and end with is found by comparing bytes, so that the cost follows the change. Between them,
lines that one side does not have are set aside, lines that occur once on both sides split the rest ("patience diff"),
and what is left gets the shortest script (see `shortest_edits`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from agent_runtime.git.shortest_edits import Match, match_lines
from agent_runtime.lazy import dataclass

CONTEXT = 3
_STEPS = 300_000  # that the search for shortest scripts may take in one file: some 100 ms
_CHUNK = 1 << 16  # bytes compared at a time

Block = tuple[int, int, int, int]  # old[i1:i2] became new[j1:j2]


@dataclass(frozen=True)
class Hunks:
    """The text from the first `@@` on, and the counts of its `+` and `-` lines."""

    text: bytes
    additions: int
    deletions: int


@dataclass(frozen=True)
class ChangedPart:
    """Where two contents differ: whole lines from `start`, up to `old_end` and `new_end`."""

    start: int
    old_end: int
    new_end: int


def split_lines(data: bytes) -> list[bytes]:
    """Split at LF only, as git does; the LF stays."""
    lines = data.split(b"\n")
    last = lines.pop()
    whole = [line + b"\n" for line in lines]
    return [*whole, last] if last else whole


def changed_part(old: bytes, new: bytes) -> ChangedPart:
    """Return what is between the equal lines at the beginning and those at the end."""
    shorter = min(len(old), len(new))
    head = _common(shorter, lambda i, j: old[i:j] == new[i:j])
    start = old.rfind(b"\n", 0, head) + 1
    n, m = len(old), len(new)
    tail = _common(shorter - start, lambda i, j: old[n - j : n - i] == new[m - j : m - i])
    line_end = old.find(b"\n", n - tail)
    tail = n - line_end - 1 if tail and line_end >= 0 else 0
    return ChangedPart(start, n - tail, m - tail)


def hunks(old: bytes, new: bytes, *, lines_before: int = 0) -> Hunks:
    """Return the hunks from one content to the other; empty when they are equal.

    Args:
        old: before.
        new: after.
        lines_before: the number of lines before both contents, for the line numbers.
    """
    if not old or not new:
        return _one_sided(old, new)
    part = changed_part(old, new)
    start = part.start
    for _ in range(CONTEXT):
        start = old.rfind(b"\n", 0, max(start - 1, 0)) + 1
    trail = part.old_end
    for _ in range(CONTEXT):
        trail = old.find(b"\n", trail) + 1 or len(old)
    a = split_lines(old[start:trail])
    b = split_lines(new[start : part.new_end + trail - part.old_end])
    before = lines_before + old.count(b"\n", 0, start)
    blocks = changed_blocks(a, b)
    text = b"".join(_hunk(a, b, group, before) for group in _grouped(blocks))
    return Hunks(text, sum(j2 - j1 for _, _, j1, j2 in blocks), sum(i2 - i1 for i1, i2, _, _ in blocks))


def changed_blocks(a: Sequence[bytes], b: Sequence[bytes]) -> list[Block]:
    """Return the stretches that differ, in order."""
    blocks: list[Block] = []
    i = j = 0
    for p, q in [*_matches(a, b), (len(a), len(b))]:
        if i < p or j < q:
            blocks.append((i, p, j, q))
        i, j = p + 1, q + 1
    return blocks


def _common(limit: int, equal: Callable[[int, int], bool]) -> int:
    """The length of the common part, up to a limit; `equal` compares the bytes between two distances."""
    at = 0
    while at < limit and equal(at, min(at + _CHUNK, limit)):
        at = min(at + _CHUNK, limit)
    low, high = at, min(at + _CHUNK, limit)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if equal(at, middle) else (low, middle - 1)
    return low


def _matches(a: Sequence[bytes], b: Sequence[bytes]) -> list[Match]:
    """Pairs of equal lines, in order."""
    numbers = {line: number for number, line in enumerate(a)}
    ours = set(numbers.values())
    theirs = {numbers[line] for line in b if line in numbers}
    shared = ours & theirs
    old = [(at, number) for at, line in enumerate(a) if (number := numbers[line]) in shared]
    new = [(at, numbers[line]) for at, line in enumerate(b) if line in numbers]
    found = _match([number for _, number in old], [number for _, number in new])
    return [(old[x][0], new[y][0]) for x, y in found]


def _match(a: list[int], b: list[int]) -> list[Match]:
    matches: list[Match] = []
    stack = [(0, len(a), 0, len(b))]
    while stack:
        i1, i2, j1, j2 = stack.pop()
        while i1 < i2 and j1 < j2 and a[i1] == b[j1]:
            matches.append((i1, j1))
            i1, j1 = i1 + 1, j1 + 1
        while i1 < i2 and j1 < j2 and a[i2 - 1] == b[j2 - 1]:
            i2, j2 = i2 - 1, j2 - 1
            matches.append((i2, j2))
        if i1 == i2 or j1 == j2:
            continue
        if anchors := _anchors(a, i1, i2, b, j1, j2):
            matches += anchors
            edges = [(i1 - 1, j1 - 1), *anchors, (i2, j2)]
            stack += [(p + 1, q, r + 1, s) for (p, r), (q, s) in pairwise(edges)]
        else:
            share = (i2 - i1 + j2 - j1) / (len(a) + len(b))
            found = match_lines(a[i1:i2], b[j1:j2], int(_STEPS * share))
            matches += [(i1 + x, j1 + y) for x, y in found]
    matches.sort()
    return matches


def _anchors(a: list[int], i1: int, i2: int, b: list[int], j1: int, j2: int) -> list[Match]:
    """Pairs of places of lines unique on both sides: the longest run that rises on both."""
    ours = _unique(a, i1, i2)
    theirs = _unique(b, j1, j2)
    pairs = [(i, theirs[line]) for line, i in ours.items() if i >= 0 and theirs.get(line, -1) >= 0]
    pairs.sort()
    tails: list[int] = []  # patience sorting: the smallest j that ends a run of each length
    ends: list[int] = []
    before: list[int] = []
    for index, (_, j) in enumerate(pairs):
        pile = bisect_left(tails, j)
        before.append(ends[pile - 1] if pile else -1)
        tails[pile : pile + 1] = [j]
        ends[pile : pile + 1] = [index]
    run: list[Match] = []
    at = ends[-1] if ends else -1
    while at >= 0:
        run.append(pairs[at])
        at = before[at]
    return run[::-1]


def _unique(lines: list[int], start: int, end: int) -> dict[int, int]:
    """The place of each line; -1 for lines that occur more than once."""
    places: dict[int, int] = {}
    for at in range(start, end):
        places[lines[at]] = -1 if lines[at] in places else at
    return places


def _grouped(blocks: list[Block]) -> Iterator[list[Block]]:
    group: list[Block] = []
    for block in blocks:
        if group and block[0] - group[-1][1] > 2 * CONTEXT:
            yield group
            group = []
        group.append(block)
    if group:
        yield group


def _hunk(a: list[bytes], b: list[bytes], group: list[Block], before: int) -> bytes:
    first, last = group[0], group[-1]
    lead = min(CONTEXT, first[0])
    trail = min(CONTEXT, len(a) - last[1])
    i, end, j = first[0] - lead, last[1] + trail, first[2] - lead
    out = [
        b"@@ -%b +%b @@\n" % (_range(before + i, before + end), _range(before + j, before + last[3] + trail))
    ]
    for i1, i2, j1, j2 in group:
        out += [_line(b" ", line) for line in a[i:i1]]
        out += [_line(b"-", line) for line in a[i1:i2]]
        out += [_line(b"+", line) for line in b[j1:j2]]
        i = i2
    out += [_line(b" ", line) for line in a[i:end]]
    return b"".join(out)


def _line(sign: bytes, line: bytes) -> bytes:
    return sign + line if line.endswith(b"\n") else sign + line + b"\n\\ No newline at end of file\n"


def _range(start: int, end: int) -> bytes:
    # an empty range names the line before it
    return b"%d,%d" % (start + 1 if end > start else start, end - start)


def _one_sided(old: bytes, new: bytes) -> Hunks:
    data = old or new
    if not data:
        return Hunks(b"", 0, 0)
    sign = b"-" if old else b"+"
    count = data.count(b"\n") + (not data.endswith(b"\n"))
    header = b"@@ -1,%d +0,0 @@\n" % count if old else b"@@ -0,0 +1,%d @@\n" % count
    body = sign + data.replace(b"\n", b"\n" + sign)
    body = body[:-1] if data.endswith(b"\n") else body + b"\n\\ No newline at end of file\n"
    return Hunks(header + body, 0 if old else count, count if old else 0)
