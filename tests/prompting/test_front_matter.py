"""Front matter: the forms of YAML that are read, and what is refused by its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent_runtime.errors import RequestError
from agent_runtime.prompting.front_matter import front_matter, split

FILE = Path("agents/mine.md")


@pytest.mark.parametrize(
    ("head", "fields"),
    [
        ("a: 1\nb: 2.5\nc: text # comment\nd:", {"a": 1, "b": 2.5, "c": "text", "d": None}),
        ("# a line\n\na: it's", {"a": "it's"}),
        ("a: [x, 'y z', \"w\", 3]\nb: []", {"a": ["x", "y z", "w", 3], "b": []}),
        ("a: [1, 'x, y', z] # c", {"a": [1, "x, y", "z"]}),
        ("a:\n- x\n- 'y'\nb:\n  - 1\n  - two # c", {"a": ["x", "y"], "b": [1, "two"]}),
        (
            "a: true\nb: false\nc: null\nd: ~\ne: -5\nf: 1e3",
            {"a": True, "b": False, "c": None, "d": None, "e": -5, "f": 1000.0},
        ),
        (
            "a: yes\nb: 012\nc: 2026-01-01\nd: 5 apples",
            {"a": "yes", "b": "012", "c": "2026-01-01", "d": "5 apples"},
        ),
        (
            "a: it: has: colons\nb: http://x/y\nc: a#b",
            {"a": "it: has: colons", "b": "http://x/y", "c": "a#b"},
        ),
        ("a: 'it''s'\nb: \"tab\\t\" # c\nc: '\"'", {"a": "it's", "b": "tab\t", "c": '"'}),
        ("a: |\n  two\n   lines\n\nb: |-\n  one", {"a": "two\n lines\n", "b": "one"}),
        ("a: >\n  folded\n  text\n\n  and more\nb: >-\n  x", {"a": "folded text\nand more\n", "b": "x"}),
        ("a: goes on\n  in the next line\nb: x", {"a": "goes on in the next line", "b": "x"}),
        (
            "metadata:\n  author: me\n  version: '1.0'\nname: x",
            {"metadata": {"author": "me", "version": "1.0"}, "name": "x"},
        ),
        ("", {}),
    ],
)
def test_supported_yaml_forms_are_read(head: str, fields: dict[str, Any]) -> None:
    assert front_matter(FILE, head) == fields
    assert split(FILE, f"---\n{head}\n---\nbody") == (fields, "body\n")


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("name", 2),
        ("- a", 2),
        ("a: 1\na: 2", 3),
        ("a: 'open", 2),
        ("a: 1\n\nb: [x, y", 4),
        ("a: [x, [y]]", 2),
        ("a: {b: c}", 2),
        ("a: [,]", 2),
        ("a: ['x' y]", 2),
        ('a: "bad\\q"', 2),
        ("a:\n  b: c\n  d", 4),
    ],
)
def test_unsupported_yaml_is_refused_with_its_line(head: str, line: int) -> None:
    with pytest.raises(RequestError) as refused:
        front_matter(FILE, head)
    assert refused.value.field == "agent"
    assert f"agents/mine.md, line {line}: " in refused.value.problem


@pytest.mark.parametrize("character", ["'", '"', "[", ",", " ", "#", ":", "x\n", "- "])
def test_a_long_line_takes_linear_time(character: str) -> None:
    for head in (f"a: [{character * 20_000}", f"a: {character * 20_000}", f"a: [x{character * 20_000}]"):
        try:
            assert front_matter(FILE, head)
        except RequestError as error:
            assert "line" in str(error)
