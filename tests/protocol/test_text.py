from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.protocol.text import split_ends, truncate_middle

texts = st.text(st.characters() | st.sampled_from("a\né😀"), max_size=400)


@given(texts, st.integers(64, 500))
def test_truncation_keeps_head_and_tail_and_counts_the_rest(text: str, limit: int) -> None:
    text = text.encode("utf-8", "replace").decode()
    short = truncate_middle(text, limit)
    assert len(short.encode()) <= limit
    if len(text.encode()) <= limit:
        assert short == text
        return
    found = re.fullmatch(r"(.*?)\n?\[\.\.\. (\d+) bytes cut here \.\.\.\]\n(.*)", short, re.DOTALL)
    assert found
    head, missing, tail = found.groups()
    assert text.startswith(head) and text.endswith(tail)
    assert len(text.encode()) - len(head.encode()) - len(tail.encode()) in (int(missing), int(missing) + 1)


@given(texts, texts, st.integers(-3, 300))
def test_the_ends_are_whole_characters_within_the_limit(head: str, tail: str, limit: int) -> None:
    head, tail = (text.encode("utf-8", "replace").decode() for text in (head, tail))
    first, last = split_ends(head, tail, limit)
    assert head.startswith(first) and tail.endswith(last)
    assert len(first.encode()) + len(last.encode()) <= max(limit, 0)


@pytest.mark.parametrize(
    ("limit", "short"),
    [
        (1000, "".join(f"line {n}\n" for n in range(12))),
        (84, "line 0\n[... 71 bytes cut here ...]\nline 11\n"),
        (70, "lin\n[... 80 bytes cut here ...]\n11\n"),
        (0, "[... 86 bytes cut here ...]\n"),
    ],
)
def test_whole_lines_stay_where_that_costs_little(limit: int, short: str) -> None:
    text = "".join(f"line {n}\n" for n in range(12))
    assert truncate_middle(text, limit) == short


def test_lone_surrogates_are_counted() -> None:
    assert truncate_middle("\ud800" * 100, 80) == "?" * 8 + "\n[... 84 bytes cut here ...]\n" + "?" * 8
