"""What is said when the old text is not there: the nearest place and the first difference, in bounded time."""

from __future__ import annotations

import time

import pytest

from agent_runtime.errors import ToolError
from agent_runtime.files.replace import replace
from agent_runtime.files.text_file import decode

LINES = [f"line number {i} here" for i in range(8)]


def refusal(text: str, old: str) -> str:
    with pytest.raises(ToolError) as caught:
        replace(decode(text.encode()), "f", old=old, new="something else", every=False)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "old", "place", "difference"),
    [
        ("import os\nimport sys\n", "import os\n\nimport sys", "lines 1-2", "Line 2 of what you gave, '', is not in"),
        ("hello world\n", "Hello World", "line 1", "Line 1 differs only in upper and lower case"),
        ("cafe\u0301\n", "caf\u00e9", "line 1", "form of accented letters (those of the file are decomposed)"),
        ("caf\u00e9\n", "cafe\u0301", "line 1", "form of accented letters (those of the file are composed)"),
        ("a\nb\nc\n", "b\n\n", "lines 2-3", "Line 3 differs: the file has 'c', you gave ''"),
        ("x  =  1\n", "x = 1", "line 1", "Line 1 differs only in blanks"),
        ("x\n  y\n z\n", "x\ny\nz\n", "lines 1-3", "Line 2 differs only in its indentation"),
        ("total\n", "totla", "line 1", "the file has 'total', you gave 'totla'"),
        ("x = foo(baz) + 1\n", "foo(bar)", "line 1", "the file has 'x = foo(baz) + 1'"),
        ("if a:\n b()\n\n\n c()\n", "if a:\n b()\n\n c()", "lines 1-5", "Line 4 is missing in what you gave"),
        (
            "def f(x):\n    a = 1\n    b = 2\n    return a\n",
            "def f(x):\n    ...\n    return a\n",
            "lines 1-4",
            "`...` does not stand for other lines",
        ),
    ],
)  # fmt: skip
def test_the_nearest_place_and_the_first_difference(text: str, old: str, place: str, difference: str) -> None:
    said = refusal(text, old)
    assert f"Nearest: {place} (" in said
    assert "(100% alike)" not in said
    assert difference in said


@pytest.mark.parametrize("at", range(9))
def test_one_line_more_or_less_anywhere(at: int) -> None:
    text = "first\n" + "\n".join(LINES) + "\nlast\n"
    said = refusal(text, "\n".join([*LINES[:at], "extra", *LINES[at:]]))
    place = {0: "1-9", 8: "2-10"}.get(at, "2-9")
    assert f"Nearest: lines {place} (" in said
    assert "extra" in said
    if 0 < at < 7:
        said = refusal(text, "\n".join([*LINES[:at], *LINES[at + 1 :]]))
        assert f"Line {at + 2} is missing in what you gave: the file has '{LINES[at]}'" in said


@pytest.mark.parametrize(
    ("text", "old"),
    [
        ("0,0,0\n" * 50_000, "0,0,0\n" * 250 + "1,1,1\n" + "0,0,0\n" * 249),
        ("0,0,0\n" * 300_000, "0,0,0\n" * 1_000 + "1,1,1\n" + "0,0,0\n" * 999),
        ("0,0,0\n" * 300_000, "0,0,0\n" * 2_000),
        ("0,0,0 \n" * 100_000, "0,0,0\n" * 2_000),
        ("    0\n        0\n" * 50_000, "0\n" * 1_000 + "    0\n" * 3),
        (
            '{\n  "a": 1,\n  "b": [\n  ]\n},\n' * 30_000,
            '{\n  "a": 1,\n  "b": [\n  ]\n},\n' * 300 + "{\n  {\n",
        ),
        ("\n" * 1_000_000, "\n" * 1_000 + "x"),
        (" " * 1_000_000 + "x\n", " " * 999 + "y\n x"),
        ("\r" * 1_000_000 + "x\r\r\n", "y"),
        ("x\n", "." * 1_000_000 + "x" * 100 + "\ny"),
        ("word-" * 100_000 + "\n", "wrd-" * 100_000 + "\ny"),
    ],
    ids=[
        "listed",
        "longer",
        "ambiguous",
        "blanks",
        "indented",
        "json",
        "newlines",
        "spaces",
        "returns",
        "dots",
        "words",
    ],
)
def test_a_refusal_takes_time_in_proportion_to_the_file(text: str, old: str) -> None:
    begun = time.process_time()
    assert "Nothing was written" in refusal(text, old)
    assert time.process_time() - begun < 3  # seconds; minutes without the bound


RECORDS = "".join(f'  {{\n    "id": {i},\n    "ok": true\n  }},\n' for i in range(2_000)).split("\n")


@pytest.mark.parametrize("size", [12, 600, 1_800])
@pytest.mark.parametrize("first", [4_000, 4_002])
@pytest.mark.parametrize("at", [0, 1, 5, -1])
def test_the_differing_line_among_repeated_lines_is_named(size: int, first: int, at: int) -> None:
    block = RECORDS[first : first + size]
    block[at] = "wrong"
    said = refusal("\n".join(RECORDS), "\n".join(block))
    assert f"Nearest: lines {first + 1}-{first + size} (" in said
    assert f"Line {first + at % size + 1} differs: the file has {RECORDS[first + at % size]!r}" in said


@pytest.mark.parametrize("size", [12, 600, 1_800])
def test_a_missing_line_among_repeated_lines_is_named(size: int) -> None:
    block = RECORDS[4_000 : 4_000 + size]
    del block[size // 2 + 3]
    said = refusal("\n".join(RECORDS), "\n".join(block))
    assert f"Nearest: lines 4001-{4_000 + size} (" in said
    assert "is missing in what you gave" in said
