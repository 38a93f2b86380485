"""Matching two lists of lines by the shortest edit script, with bounded effort.

The greedy algorithm of Eugene W. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986): row `d` holds, for
each diagonal `k = x - y`, how far into the old lines `d` edits lead. Its time grows with the square of the edits.
When the bound is reached, the longest path so far is kept, as in git's xdiff, and the search continues from its end
with a smaller bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

_UNREACHABLE = -(1 << 40)
_LEAST = 4  # edits that a search may always make

Match = tuple[int, int]  # old[i] is new[j]


def match_lines(old: Sequence[int], new: Sequence[int], steps: int) -> list[Match]:
    """Return the lines that stay, in order.

    Args:
        old: lines, as numbers that are equal where the lines are.
        new: the same.
        steps: about how many the search may take. The script is the shortest one if it has at most their root of edits.
    """
    matches: list[Match] = []
    x = y = 0
    most = max(_LEAST, isqrt(steps))
    while x < len(old) and y < len(new):
        found, x, y = _search(old, new, x, y, most)
        matches += found
        steps -= most * most // 2
        most = min(most, max(_LEAST, 2 * steps // (len(old) - x + len(new) - y + 1)))
    return matches


def _search(
    old: Sequence[int], new: Sequence[int], x0: int, y0: int, most: int
) -> tuple[list[Match], int, int]:
    """The matches of the furthest path of at most so many edits from (x0, y0), and where it ends."""
    n, m = len(old), len(new)
    origin = most + 1  # index of the diagonal of (x0, y0)
    row = [_UNREACHABLE] * (2 * most + 3)
    shift = x0 - y0  # diagonals are counted from that of the start
    rows: list[list[int]] = []
    for edits in range(most + 1):
        rows.append(row[origin - edits - 1 : origin + edits + 2])
        for k in range(-edits, edits + 1, 2):
            if edits:
                down, right = row[origin + k + 1], row[origin + k - 1]
                if down - k - shift > m:
                    down = _UNREACHABLE
                if right == n:
                    right = _UNREACHABLE
                x = down if down > right else right + 1
                if x < 0:
                    row[origin + k] = _UNREACHABLE
                    continue
            else:
                x = x0
            y = x - k - shift
            while x < n and y < m and old[x] == new[y]:
                x += 1
                y += 1
            row[origin + k] = x
            if x == n and y == m:
                return _traced(rows, x, y, x0, y0, m, n), n, m
    k = max(range(-most, most + 1, 2), key=lambda k: 2 * row[origin + k] - k)
    x = row[origin + k]
    y = x - k - shift
    return _traced(rows, x, y, x0, y0, m, n), x, y


def _traced(rows: list[list[int]], x: int, y: int, x0: int, y0: int, m: int, n: int) -> list[Match]:
    """The matches on the path to (x, y), which is as many edits long as there are rows, less one."""
    matches: list[Match] = []
    shift = x0 - y0
    for edits in range(len(rows) - 1, 0, -1):
        k = x - y - shift
        row, at = rows[edits], k + edits + 1
        down, right = row[at + 1], row[at - 1]
        if down - k - shift > m:
            down = _UNREACHABLE
        if right == n:
            right = _UNREACHABLE
        begin = down if down > right else right + 1  # where the snake of this row begins
        while x > begin:
            x, y = x - 1, y - 1
            matches.append((x, y))
        x, y = (x, y - 1) if down > right else (x - 1, y)
    while x > x0 and y > y0:
        x, y = x - 1, y - 1
        matches.append((x, y))
    return matches[::-1]
