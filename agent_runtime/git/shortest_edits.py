"""The shortest edit script between two lists of lines, as git finds it by default.

The greedy algorithm of Eugene W. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986): row `d` holds, for
each diagonal `k = x - y`, how far into the old lines `d` edits lead.
"""

from __future__ import annotations

Block = tuple[int, int, int, int]  # old[i1:i2] became new[j1:j2]
Row = tuple[int, list[int]]  # the first diagonal, and x on every second one from there; -1: it leads nowhere


def shortest_edits(a: list[bytes], b: list[bytes], most: int) -> list[Block] | None:
    """Single deletions and insertions, in order; None when there are more than `most`. Takes their square in steps."""
    n, m = len(a), len(b)
    rows: list[Row] = []
    for edits in range(min(n + m, most) + 1):
        first, last = -edits + 2 * max(0, edits - m), edits - 2 * max(0, edits - n)
        row: Row = (first, [])
        for k in range(first, last + 1, 2):
            x = _arrive(rows[-1], k, n, m)[0] if rows else 0
            while 0 <= x < n and x - k < m and a[x] == b[x - k]:
                x += 1
            row[1].append(x)
            if x == n and x - k == m:
                return _traced(rows, n, m)
        rows.append(row)
    return None


def _arrive(row: Row, k: int, n: int, m: int) -> tuple[int, int]:
    """(x on diagonal k after one more edit, x before it)."""
    first, xs = row
    at = (k + 1 - first) // 2
    down = xs[at] if 0 <= at < len(xs) else -1
    right = xs[at - 1] if 0 < at <= len(xs) else -1
    if down - k > m:  # no line of the new is left to insert
        down = -1
    if right == n:  # none of the old to delete
        right = -1
    return (down, down) if down > right or right < 0 else (right + 1, right)


def _traced(rows: list[Row], x: int, y: int) -> list[Block]:
    n, m = x, y
    blocks: list[Block] = []
    for row in reversed(rows):
        k = x - y
        after, x = _arrive(row, k, n, m)
        y = x - k - 1 if after == x else x - k + 1
        blocks.append((x, x, y, y + 1) if after == x else (x, x + 1, y, y))
    return blocks[::-1]
