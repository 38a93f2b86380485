"""Hunks: as few lines as possible, and bounded effort."""

from __future__ import annotations

import random
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.git.diff import changed_blocks, changed_part, hunks, split_lines
from agent_runtime.git.shortest_edits import match_lines

LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"}\n"]), max_size=14)
NUMBERS = st.lists(st.integers(0, 3), max_size=14)
TEXTS = st.lists(st.sampled_from([b"a", b"b", b"\n", b"\n", b"\r"]), max_size=60).map(b"".join)


def in_common(a: list[int], b: list[int]) -> int:
    """The length of the longest common subsequence, by the textbook."""
    row = [0] * (len(b) + 1)
    for x in a:
        below = [0]
        for j, y in enumerate(b):
            below.append(row[j] + 1 if x == y else max(row[j + 1], below[-1]))
        row = below
    return row[-1]


def rising(matches: list[tuple[int, int]]) -> bool:
    return all(i < p and j < q for (i, j), (p, q) in pairwise(matches))


@given(NUMBERS, NUMBERS)
def test_matches_are_valid_and_the_longest_possible(a: list[int], b: list[int]) -> None:
    matches = match_lines(a, b, 10_000)
    assert rising(matches) and all(a[i] == b[j] for i, j in matches)
    assert len(matches) == in_common(a, b)


@given(NUMBERS, NUMBERS, st.integers(0, 50))
def test_a_bounded_search_yields_valid_matches(a: list[int], b: list[int], steps: int) -> None:
    matches = match_lines(a, b, steps)
    assert rising(matches) and all(a[i] == b[j] for i, j in matches)


@given(LINES, LINES)
def test_changed_blocks_transform_one_side_into_the_other(a: list[bytes], b: list[bytes]) -> None:
    made: list[bytes] = []
    at = 0
    for i1, i2, j1, j2 in changed_blocks(a, b):
        made += a[at:i1]
        assert len(made) == j1 and (i1 < i2 or j1 < j2)
        made += b[j1:j2]
        at = i2
    assert made + a[at:] == b


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_equal_heads_and_tails_are_left_out(head: bytes, old: bytes, new: bytes, tail: bytes) -> None:
    before, after = head + old + tail, head + new + tail
    part = changed_part(before, after)
    assert before[: part.start] == after[: part.start] and before[part.old_end :] == after[part.new_end :]
    for text, end in ((before, part.old_end), (after, part.new_end)):
        assert part.start <= end
        assert all(at in (0, len(text)) or text[at - 1 : at] == b"\n" for at in (part.start, end))
    whole = changed_blocks(split_lines(before), split_lines(after))
    assert (hunks(before, after).text == b"") == (before == after) == (not whole)


@pytest.mark.parametrize("seed", range(40))
def test_git_applies_the_diff(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    words = [b"x\n"] * 3 + [b"%d\n" % number for number in range(rng.choice([3, 30, 3000]))]
    old = [rng.choice(words) for _ in range(rng.randrange(400))]
    new = list(old)
    for _ in range(rng.randrange(1, 30)):
        at = rng.randrange(len(new) + 1)
        new[at : at + rng.randrange(3)] = [rng.choice(words) for _ in range(rng.randrange(3))]
    before, after = b"".join(old), b"".join(new)
    before, after = before.rstrip() if seed % 3 == 0 else before, after.rstrip() if seed % 4 == 0 else after
    if before == after or not before or not after:
        return
    (tmp_path / "f").write_bytes(before)
    patch = b"--- a/f\n+++ b/f\n" + hunks(before, after).text
    subprocess.run(["git", "apply", "-"], input=patch, cwd=tmp_path, check=True)
    assert (tmp_path / "f").read_bytes() == after


def test_edits_at_both_ends_of_a_file_without_unique_lines() -> None:
    lines = [b"  {\n", b'    "a": 1\n', b"  },\n"] * 5000
    found = hunks(b"".join(lines), b"".join([lines[0], b"first\n", *lines[1:-2], b"last\n", *lines[-2:]]))
    assert (found.additions, found.deletions, found.text.count(b"@@ -")) == (2, 0, 2)


def test_a_change_of_one_word_in_a_million_lines_is_one_hunk() -> None:
    old = b"".join(b"line %d of many\n" % number for number in range(1_000_000))
    found = hunks(old, old.replace(b"line 700000 of", b"line 700000 off"))
    assert found.text.startswith(b"@@ -699998,7 +699998,7 @@\n line 699997 of many\n")
    assert (found.additions, found.deletions) == (1, 1)


def test_a_bounded_search_keeps_what_it_found() -> None:
    """3,000 lines of 8 distinct ones: git's own diff has about 1,500 changed lines on each side."""
    rng = random.Random(1)
    old, new = ([b"%d\n" % rng.randrange(8) for _ in range(3000)] for _ in range(2))
    found = hunks(b"".join(old), b"".join(new))
    assert found.additions == found.deletions < 1600


@pytest.mark.parametrize("distinct", [1, 2, 8, 50, 10_000, 1_000_000])
def test_files_that_differ_everywhere_take_bounded_time(distinct: int) -> None:
    rng = random.Random(1)
    old, new = ([b"%d\n" % rng.randrange(distinct) for _ in range(50_000)] for _ in range(2))
    began = time.thread_time()
    found = hunks(b"".join(old), b"".join(new))
    assert time.thread_time() - began < 2
    assert found.additions == found.deletions
