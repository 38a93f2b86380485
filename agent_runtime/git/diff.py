"""The hunks of a unified diff, over bytes.

Patience diff: lines that occur once on both sides anchor the rest, which splits large files in n log n; only
what is left between anchors gets the shortest script (see `shortest`), whose time is quadratic in the edits, and a
stretch that differs too much for that is replaced whole.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import isqrt

from agent_runtime.git.shortest_edits import Block, shortest_edits

CONTEXT = 3
_STEPS = 1_000_000  # that the search for shortest scripts may take in one file


@dataclass(frozen=True)
class Hunks:
    """The text from the first `@@` on, and the counts of its `+` and `-` lines."""

    text: bytes
    additions: int
    deletions: int


def split_lines(data: bytes) -> list[bytes]:
    """At LF only, as git does; the LF stays."""
    lines = data.split(b"\n")
    last = lines.pop()
    whole = [line + b"\n" for line in lines]
    return [*whole, last] if last else whole


def hunks(old: bytes, new: bytes) -> Hunks:
    """From one content to the other; empty when they are equal."""
    if not old or not new:
        return _one_sided(old, new)
    a, b = split_lines(old), split_lines(new)
    blocks = list(changed_blocks(a, b))
    text = b"".join(_hunk(a, b, group) for group in _grouped(blocks))
    return Hunks(text, sum(j2 - j1 for _, _, j1, j2 in blocks), sum(i2 - i1 for i1, i2, _, _ in blocks))


def changed_blocks(a: list[bytes], b: list[bytes]) -> Iterator[Block]:
    """The stretches that differ, in order, joined where they touch."""
    last: Block | None = None
    for i1, i2, j1, j2 in _blocks(a, b):
        if last and last[1] == i1 and last[3] == j1:
            last = (last[0], i2, last[2], j2)
            continue
        if last:
            yield last
        last = (i1, i2, j1, j2)
    if last:
        yield last


def _blocks(a: list[bytes], b: list[bytes]) -> Iterator[Block]:
    stack = [(0, len(a), 0, len(b))]
    while stack:
        i1, i2, j1, j2 = stack.pop()
        while i1 < i2 and j1 < j2 and a[i1] == b[j1]:
            i1, j1 = i1 + 1, j1 + 1
        while i1 < i2 and j1 < j2 and a[i2 - 1] == b[j2 - 1]:
            i2, j2 = i2 - 1, j2 - 1
        if i1 == i2 or j1 == j2:
            if i1 < i2 or j1 < j2:
                yield i1, i2, j1, j2
            continue
        anchors = _anchors(a, i1, i2, b, j1, j2)
        if anchors:
            edges = [(i1 - 1, j1 - 1), *anchors, (i2, j2)]
            parts = [(p + 1, q, r + 1, s) for (p, r), (q, s) in pairwise(edges)]
            stack.extend(reversed(parts))
        else:
            share = (i2 - i1 + j2 - j1) / (len(a) + len(b))
            edits = shortest_edits(a[i1:i2], b[j1:j2], isqrt(int(_STEPS * share)))
            for p, q, r, s in edits or ((0, i2 - i1, 0, j2 - j1),):
                yield i1 + p, i1 + q, j1 + r, j1 + s


def _anchors(a: list[bytes], i1: int, i2: int, b: list[bytes], j1: int, j2: int) -> list[tuple[int, int]]:
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
    run: list[tuple[int, int]] = []
    at = ends[-1] if ends else -1
    while at >= 0:
        run.append(pairs[at])
        at = before[at]
    return run[::-1]


def _unique(lines: list[bytes], start: int, end: int) -> dict[bytes, int]:
    places: dict[bytes, int] = {}
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


def _hunk(a: list[bytes], b: list[bytes], group: list[Block]) -> bytes:
    first, last = group[0], group[-1]
    lead = min(CONTEXT, first[0])
    trail = min(CONTEXT, len(a) - last[1])
    i, end, j = first[0] - lead, last[1] + trail, first[2] - lead
    out = [b"@@ -%b +%b @@\n" % (_range(i, end), _range(j, last[3] + trail))]
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
