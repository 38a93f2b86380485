"""New lines are written as given; the file's own characters stay only where a line is a small change of the old."""

from __future__ import annotations

import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agent_runtime.files.line_match import fold
from agent_runtime.files.merge_lines import opcodes
from agent_runtime.files.replace import replace
from agent_runtime.files.text_file import decode


def replaced(text: str, new: str) -> str:
    """The text with all of it replaced; the model gives the old text with plain characters."""
    return replace(decode(text.encode()), "f", old=fold(text), new=new, every=False).data.decode()


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("# the limit – in seconds", "LIMIT = end - start"),
        ("# “name” of the user", 'NAME = "user"'),
        ("# total\u00a0: x", 'd["t"] = 1'),
        ("# start – end of range", "start - end"),
        ("x = 1  # end – start", "x = end - start"),
        ("# print(“hello”)", 'print("hello")'),
        ("// it’s the user’s name", "s = 'user' + 'name'"),
        ("end – start in seconds", "return end - start"),
        ("# 5′ 6″ tall", "h = '5' + \"6\""),
        ("# a \u2212 b", "a - b"),
        ("“x” is it\n“y” too\n", 'NEW = "x"\nx = "y"\n'),
    ],
)
def test_a_rewritten_line_is_written_as_given(text: str, new: str) -> None:
    assert replaced(text, new) == new


@pytest.mark.parametrize(
    ("text", "new", "then"),
    [
        ("It’s fine", "It's great", "It’s great"),
        ("say “hi” – now", 'say "ho" - now', "say “ho” – now"),
        ("say “hi” – now", 'say "hi" - now and then!', "say “hi” – now and then!"),
        ("# the limit – in seconds", "# the limit - in minutes", "# the limit – in minutes"),
        ("l’été à 5\u00a0h", "l'été à 6 h", "l’été à 6\u00a0h"),
        (
            "“x” is it\n‘y’ is not so\n",
            "NEW\n\"x\" is it\n'y' is not like so\n",
            "NEW\n“x” is it\n‘y’ is not like so\n",
        ),
        ("a – b\nc\n", "a - b\nd\n", "a – b\nd\n"),
        ("say “hi” – now", 'say "hi" — now', 'say "hi" — now'),
    ],
)
def test_original_characters_are_kept_in_changed_lines(text: str, new: str, then: str) -> None:
    assert replaced(text, new) == then


NAMES = ["name", "user", "limit", "start", "end", "range", "total", "value", "count", "size", "old", "new"]
WORD = st.sampled_from(NAMES)
COMMENT = st.lists(
    st.tuples(st.sampled_from(["“{}”", "{} – {}", "{}’s", "{}", "{}\u00a0{}", "‘{}’"]), WORD, WORD).map(
        lambda drawn: drawn[0].format(*drawn[1:])
    ),
    min_size=1,
    max_size=6,
).map(lambda words: "# " + " ".join(words))
CODE = st.tuples(
    st.sampled_from(
        ["{} = {} - {}", '{} = "{}"', "{0}['{1}'] = {2}", "print('{} {}')", "return {} - {} - {}"]
    ),
    WORD,
    WORD,
    WORD,
).map(lambda drawn: drawn[0].format(*drawn[1:]))


@given(comment=COMMENT, code=CODE)
@settings(max_examples=500, deadline=None)
def test_code_that_replaces_a_comment_is_written_as_given(comment: str, code: str) -> None:
    assume(fold(comment) != comment)
    assert replaced(f"x\n{comment}\ny\n", f"x\n{code}\ny\n") == f"x\n{code}\ny\n"


@given(a=st.lists(st.sampled_from("ab"), max_size=30), b=st.lists(st.sampled_from("abc"), max_size=30))
def test_opcodes_transform_one_side_into_the_other(a: list[str], b: list[str]) -> None:
    out: list[str] = []
    position = 0
    for tag, i, j, k, n in opcodes(a, b):
        assert i == position
        position = j
        out += a[i:j] if tag == "equal" else b[k:n]
    assert (out, position) == (b, len(a))


def test_a_long_line_takes_time_in_proportion_to_it() -> None:
    words = "“a” b " * 50_000
    begun = time.process_time()
    assert replaced(words + "c", 'x = "a" b ' * 50_000) == 'x = "a" b ' * 50_000
    assert time.process_time() - begun < 3  # seconds; hours without the bound
