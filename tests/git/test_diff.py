"""Hunks: as few lines as there must be, and never a search without end."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.git.diff import hunks
from agent_runtime.git.shortest_edits import shortest_edits

LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"}\n"]), max_size=14)


def in_common(a: list[bytes], b: list[bytes]) -> int:
    """The length of the longest common subsequence, by the book."""
    row = [0] * (len(b) + 1)
    for x in a:
        below = [0]
        for j, y in enumerate(b):
            below.append(row[j] + 1 if x == y else max(row[j + 1], below[-1]))
        row = below
    return row[-1]


@given(LINES, LINES)
def test_the_script_is_right_and_the_shortest(a: list[bytes], b: list[bytes]) -> None:
    edits = shortest_edits(a, b, 100)
    assert edits is not None and len(edits) == len(a) + len(b) - 2 * in_common(a, b)
    made: list[bytes] = []
    at = 0
    for i1, i2, j1, j2 in edits:
        made += a[at:i1]
        assert len(made) == j1
        made += b[j1:j2]
        at = i2
    assert made + a[at:] == b


def test_a_script_that_would_be_too_long_is_given_up() -> None:
    assert shortest_edits([b"a\n"] * 50, [b"b\n"] * 50, 99) is None


def test_edits_at_both_ends_of_a_file_without_unique_lines() -> None:
    lines = [b"  {\n", b'    "a": 1\n', b"  },\n"] * 5000
    found = hunks(b"".join(lines), b"".join([lines[0], b"first\n", *lines[1:-2], b"last\n", *lines[-2:]]))
    assert (found.additions, found.deletions, found.text.count(b"@@ -")) == (2, 0, 2)


def test_files_that_differ_everywhere_take_no_longer_than_they_must() -> None:
    rng = random.Random(1)
    old, new = ([b"%d\n" % rng.randrange(50) for _ in range(50_000)] for _ in range(2))
    found = hunks(b"".join(old), b"".join(new))
    assert found.additions == found.deletions > 0
