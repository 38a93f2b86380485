"""Replacing text: exactly, or in the only place that can be meant."""

from __future__ import annotations

import anyio
import pytest

from agent_runtime.errors import ToolError
from tests.files.editor_fixture import EditorFixture

pytestmark = pytest.mark.anyio

TWICE = "def f():\n    return 1\n\n\ndef g():\n    return 1\n"


async def test_the_result_contains_the_lines_around(editor: EditorFixture) -> None:
    editor.put(a_py=TWICE)
    done = await editor.replace("a.py", "def g():\n    return 1", "def g():\n    return 2")
    assert editor.tree() == {"a.py": TWICE[:-2].encode() + b"2\n"}
    assert done == (
        "Replaced the text at line 5 of a.py:\n"
        "     1\tdef f():\n     2\t    return 1\n     3\t\n     4\t\n     5\tdef g():\n     6\t    return 2"
    )
    assert editor.changes == [(["a.py"], "c")]


async def test_an_ambiguous_text_is_refused_with_every_line(editor: EditorFixture) -> None:
    editor.put(a_py=TWICE * 3)
    said = await editor.refused("a.py", "return 1", "return 2")
    assert said.startswith(
        "The old text matches 6 places in a.py, at lines 2, 6, 8, 12, 14 and 18. Nothing was written."
    )
    assert editor.tree() == {"a.py": (TWICE * 3).encode()}


async def test_overlapping_places_are_ambiguous(editor: EditorFixture) -> None:
    editor.put(a="aaa")
    assert "matches 2 places" in await editor.refused("a", "aa", "b")


async def test_a_hundred_thousand_places(editor: EditorFixture) -> None:
    editor.put(a="x " * 60_000 + "\n" + "x\n" * 40_000)
    with anyio.fail_after(100):
        said = await editor.refused("a", "x", "y")
        assert said.startswith("The old text matches 100,000 places in a, at lines 1, 2, 3, 4,")
        assert "and 38,001 more" in said
        await editor.replace("a", "x", "y", every=True)
    assert editor.tree() == {"a": b"y " * 60_000 + b"\n" + b"y\n" * 40_000}


async def test_two_million_places_are_not_all_counted(editor: EditorFixture) -> None:
    editor.put(a="x" * 2_000_000)
    said = await editor.refused("a", "x", "y")
    assert said.startswith("The old text matches 200,000 or more places in a, at line 1. ")


@pytest.mark.parametrize(
    ("text", "old", "said"),
    [
        (
            'if a:\n\tprint("b")\n',
            'if a:\\n\\tprint(\\"b\\")',
            "It is there with line breaks for `\\n` and tabs for `\\t` and plain quotes",
        ),
        ('print("a\\nb")\n', 'print("a\nb")', "It is there with `\\n` for line breaks: send it like that"),
    ],
)
async def test_wrong_escaping_of_the_old_text_is_reported(
    editor: EditorFixture, text: str, old: str, said: str
) -> None:
    editor.put(a=text)
    assert said in await editor.refused("a", old, "x")


async def test_an_empty_old_text_creates_a_file(editor: EditorFixture) -> None:
    editor.put(empty="", full="x")
    await editor.replace("new", "", "a\n")
    await editor.replace("empty", "", "b\n")
    assert "The old text is empty" in await editor.refused("full", "", "y")
    assert editor.tree() == {"new": b"a\n", "empty": b"b\n", "full": b"x"}


async def test_every_occurrence_is_replaced_on_request(editor: EditorFixture) -> None:
    editor.put(a_py=TWICE)
    done = await editor.replace("a.py", "return 1", "return 2", every=True)
    assert editor.tree() == {"a.py": TWICE.replace("1", "2").encode()}
    assert done == "Replaced 2 places in a.py, at lines 2 and 6 (as before)."


async def test_a_missing_text_is_reported_with_the_nearest_lines(editor: EditorFixture) -> None:
    editor.put(a_py="import os\n\ndef total(items):\n    return sum(item.price for item in items)\n")
    said = await editor.refused("a.py", "def total(items):\n    return sum(i.price for i in items)", "x")
    assert "The old text is not in a.py. Nothing was written." in said
    assert "Nearest: lines 3-4" in said
    assert "Line 4 differs: the file has '    return sum(item.price for item in items)'" in said
    assert "     3\tdef total(items):" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "x", "The old text is empty"),
        ("one", "one", "nothing to change"),
        ("     1\tone\n     2\ttwo", "x", "Leave out the line numbers"),
        ("three", "two", "The new text is there already, at line 2"),
    ],
)
async def test_refusals_give_their_reasons(editor: EditorFixture, old: str, new: str, said: str) -> None:
    editor.put(a="one\ntwo\n")
    assert said in await editor.refused("a", old, new)


@pytest.mark.parametrize(
    ("there", "old", "new", "then", "how"),
    [
        (
            "a  \nb\t\nc\n",
            "a\nb\nc",
            "a\nB\nc",
            "a  \nB\nc\n",
            "lines 1-3 of f except for blanks at line ends",
        ),
        ("a\nb\nc\n", "a \nb  \n", "a \nB  \n", "a\nB  \nc\n", "except for blanks at line ends"),
        (
            "say “hi” – now\n",
            'say "hi" - now',
            'say "ho" - now',
            "say “ho” – now\n",
            "except for typographic quotes",
        ),
        ("it's\n", "it’s", "it’s so", "it's so\n", "except for typographic quotes"),
        (
            "class A:\n        x = 1\n        y = 2\n",
            "    x = 1\n    y = 2\n",
            "    x = 1\n    if x:\n        y = 3\n",
            "class A:\n        x = 1\n        if x:\n            y = 3\n",
            "except for the indentation, shifted as a whole",
        ),
        (
            "\tif a:\n\t\tb()\n\n\tc()\n",
            "if a:\n\tb()\n\nc()",
            "if a:\n\tb(1)\n\nc()",
            "\tif a:\n\t\tb(1)\n\n\tc()\n",
            "shifted as a whole",
        ),
        (
            "if a:\n    b()\n",
            "    if a:\n        b()\n",
            "    if a:\n        b(1)\n",
            "if a:\n    b(1)\n",
            "shifted as a whole",
        ),
        (
            "if a:\n\tb()\n",
            "if a:\n    b()\n",
            "if a:\n    if b:\n        c()\n",
            "if a:\n\tif b:\n\t\tc()\n",
            "shifted",
        ),
        (
            "if a:\n  b()\n",
            "if a:\n\tb()\n",
            "if a:\n\tif b:\n\t\tc()\n",
            "if a:\n  if b:\n    c()\n",
            "shifted",
        ),
        (
            "a\r\n  b \r\nc\r\n",
            "a\n  b\nc",
            "a\n  B\nc",
            "a\r\n  B\r\nc\r\n",
            "except for blanks at line ends",
        ),
    ],
)
async def test_tolerated_differences_are_applied_and_reported(
    editor: EditorFixture, there: str, old: str, new: str, then: str, how: str
) -> None:
    editor.put(f=there)
    done = await editor.replace("f", old, new)
    assert editor.tree() == {"f": then.encode()}
    assert "The old text is not there exactly; it matched line" in done
    assert how in done


@pytest.mark.parametrize(
    ("there", "old", "said"),
    [
        (
            "  a()\n  b()\n\n    a()\n    b()\n",
            "a()\nb()\n",
            "matches 2 places in f except for the indentation",
        ),
        (
            "a \nb\na  \nb\n",
            "a\nb\n",
            "matches 2 places in f except for blanks at line ends, at lines 1 and 3",
        ),
        (
            "  a()\n      b()\n",
            "a()\nb()\n",
            "The old text is not in f",
        ),  # the lines differ by different indentations
        ("x = 1\n", "x  =  1", "The old text is not in f"),  # blanks within a line can be significant
        ("if a:\n    b()\n", "    if a:\n        b()\n", "cannot be shifted to fit"),
    ],
)
async def test_other_differences_are_refused(editor: EditorFixture, there: str, old: str, said: str) -> None:
    editor.put(f=there)
    assert said in await editor.refused("f", old, "outside\n")
    assert editor.tree() == {"f": there.encode()}


async def test_a_missing_file_is_refused(editor: EditorFixture) -> None:
    editor.put(config_yaml="x")
    assert (
        await editor.refused("confg.yaml", "x", "y")
        == "confg.yaml: no such file or directory. Similar names: config.yaml."
    )
    assert "there is no folder sub in" in await editor.refused("sub/x", "x", "y")


async def test_lines_are_inserted_after_a_line(editor: EditorFixture) -> None:
    editor.put(a="1\r\n2", b="")
    await editor.files.insert("a", 0, "zero", call_id="c")
    said = await editor.files.insert("a", 3, "three\n", call_id="c")
    assert said.startswith("Inserted 1 line after line 3")
    await editor.files.insert("b", 0, "x\n", call_id="c")
    assert editor.tree() == {"a": b"zero\r\n1\r\n2\r\nthree\r\n", "b": b"x\n"}
    with pytest.raises(Exception, match="insert_line must be from 0 to 4"):
        await editor.files.insert("a", 5, "x", call_id="c")


async def test_write_creates_directories_and_keeps_the_encoding(editor: EditorFixture) -> None:
    assert await editor.files.write("x/y/z.txt", "a\n", call_id="c") == "Created x/y/z.txt (1 line)."
    editor.put(a="\ufeffa\r\nb\r\n", b=b"caf\xe9\n")
    assert "utf-8 with BOM kept, CRLF line ends kept" in await editor.files.write(
        "a", "1\nb\n2\n", call_id="c"
    )
    await editor.files.write("b", "é\n", call_id="c")
    assert editor.tree() == {"x/y/z.txt": b"a\n", "a": "\ufeff1\r\nb\r\n2\r\n".encode(), "b": b"\xe9\n"}
    assert "nothing was written" in await editor.files.write("b", "é\n", call_id="c")
    assert [paths for paths, _ in editor.changes] == [["x/y/z.txt"], ["a"], ["b"]]


@pytest.mark.parametrize(
    ("there", "old", "new", "then"),
    [
        ("a\nb", "b\n", "c\n", "a\nc"),
        ("a\nb", "b\n", "", "a\n"),
        ("a\nb", "a\nb\n", "a\nc\nd\n", "a\nc\nd"),
        ("a\nb  ", "b\n", "c\n", "a\nc"),
        ("a\r\nb", "a\nb\n", "c\nd\n", "c\r\nd"),
        ("a\n  b", "  b\n", "  c\n", "a\n  c"),
        ("    a\n    b", "a\nb\n", "a\nc\n", "    a\n    c"),
        ("“q”\nb", '"q"\nb\n', '"q"\nc\n', "“q”\nc"),
        ("a\nb\n", "b\n\n", "c\n\n", "a\nc\n"),
    ],
)
async def test_a_missing_final_line_end_stays_missing(
    editor: EditorFixture, there: str, old: str, new: str, then: str
) -> None:
    editor.put(f=there)
    said = await editor.replace("f", old, new)
    assert editor.tree() == {"f": then.encode()}
    assert ("shifted" in said) == there.startswith("    ")


async def test_replacing_every_occurrence_requires_exact_matches(editor: EditorFixture) -> None:
    editor.put(f="a \nb\na  \nb\n")
    with pytest.raises(ToolError, match="Only exact matches are all replaced"):
        await editor.replace("f", "a\nb\n", "x\n", every=True)
    editor.put(g="x\n" * 500)
    assert "and 460 more (as before)" in await editor.replace("g", "x", "y", every=True)


async def test_in_a_large_file_only_exact_matches_are_looked_for(editor: EditorFixture) -> None:
    """Comparing all of its lines would take seconds in which nothing else runs."""
    lines = [f"line number {i} here \r\n" for i in range(800_000)]
    editor.put(f="".join(lines))
    said = await editor.replace("f", "number 700000 here", "x")
    assert "\n700000\tline number 699999 here" in said
    assert "\n700001\tline x" in said
    lines[700_000] = "line x \r\n"
    assert "only exact matches are looked for" in await editor.refused("f", "line number 5 here\nx", "y")
    said = await editor.files.insert("f", 700_001, "a\nb", call_id="c")
    assert "\n700003\tb\n700004\tline number 700001 here" in said
    lines[700_001:700_001] = ["a\r\n", "b\r\n"]
    assert editor.tree() == {"f": "".join(lines).encode()}
    with pytest.raises(ToolError, match="must be from 0 to 800002"):
        await editor.files.insert("f", 900_000, "x", call_id="c")
    assert "before 800002; CRLF line ends kept" in await editor.files.write("f", "x\ny", call_id="c")
    assert editor.tree() == {"f": b"x\r\ny"}
    editor.put(g="\n" * 4_000_001)
    with pytest.raises(ToolError, match="a patch is applied to at most"):
        await editor.patch("*** Begin Patch\n*** Update File: g\n+x\n*** End Patch")
