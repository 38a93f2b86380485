"""Where hunks go and what they write. The expected trees of `AS_CODEX` are those of the `apply_patch` of codex."""

from __future__ import annotations

import anyio
import pytest

from agent_runtime.files.line_match import BLANKS, QUOTES, TRAILING
from tests.files.editor_fixture import EditorFixture
from tests.files.patch.test_parse import envelope

pytestmark = pytest.mark.anyio

THETA = "theta;\n\tdelta;\nepsilon:\n    nu;\n"
AS_CODEX: dict[str, tuple[str, list[str], str]] = {
    "blank context after the last line": ("one\ntwo\n", [" one", "-two", "+2", " "], "one\n2\n"),
    "two of them": ("one\ntwo\n", ["-two", "+2", " ", " "], "one\n2\n"),
    "one of them is there": ("one\ntwo\n\n", ["-two", "+2", " ", " "], "one\n2\n\n"),
    "a blank one of blanks": ("one\ntwo\n", ["-two", "+2", "   "], "one\n2\n"),
    "a removed blank line that is not there": ("one\ntwo\n", [" one", "-two", "-", "+2"], "one\n2\n"),
    "a blank line replaced by one": ("one\ntwo\n", ["-two", "-", "+2", "+"], "one\n2\n"),
    "lines after a blank one that is not there": ("one\n", [" one", " ", "+2"], "one\n\n2\n"),
    "at the end of the file": ("x\none\nx\none\n", ["-one", "+1", " ", "*** End of File"], "x\none\nx\n1\n"),
    "blanks before lines": (THETA, [" theta;", " delta;", "-epsilon:", "+zeta", " nu;"],
                            "theta;\n\tdelta;\nzeta\n    nu;\n"),
    "blanks for tabs": ("\ta\n\t\tb\n\tc\n", ["   a", "-      b", "+      B", "     c"], "\ta\n      B\n\tc\n"),
    "all shifted": ("    a\n    b\n", [" a", "-b", "+c", "+  d"], "    a\nc\n  d\n"),
    "less than in the patch": ("a\n b\n", ["       a", "-       b", "+c"], "a\nc\n"),
    "blanks at both ends": ("  a \n\tb\t\n", [" a", "-b  ", "+c "], "  a \nc \n"),
    "blanks and quotes": ("\t“a”\n  b – c\n", [' "a"', "-b - c", '+"b"'], '\t“a”\n"b"\n'),
    "no-break spaces": ("a\u00a0b\nc\n", [" a b", "-c", "+d e"], "a\u00a0b\nd e\n"),
    "rare spaces": ("a\u2004b\u205fc\nd\n", [" a b c", "-d", "+e"], "a\u2004b\u205fc\ne\n"),
    "a blank line of blanks": ("a\n   \nb\n", [" a", "", "-b", "+c"], "a\n   \nc\n"),
    "typographic characters are not taken over": ("# “name” – x\n", ['-# "name" - x', '+NAME = "x" - 1'],
                                                   'NAME = "x" - 1\n'),
    "nor from another line": ("’a’\n‘b’\n", [" 'a'", "-'b'", "+'c'", "+'a'"], "’a’\n'c'\n'a'\n"),
    "CRLF": ("a\r\nb\r\nc\r\n", [" a", "-b", "+B", "+2"], "a\r\nB\r\n2\r\nc\r\n"),
    "CRLF and uneven blanks": ("  a\r\n\tb\r\nc\r\n", [" a", "-b", "+B", " c"], "  a\r\nB\r\nc\r\n"),
    "an empty file": ("", ["+a"], "a\n"),
    "everything removed": ("a\nb\n", ["-a", "-b"], ""),
    "an anchor with other blanks": ("\tdef f():\n\t\ta\n\tdef g():\n\t\ta\n", ["@@ def g():", "-a", "+b"],
                                    "\tdef f():\n\t\ta\n\tdef g():\nb\n"),
    "an exact place before the anchor": ("  a\nx\na\n", ["@@ x", "-  a", "+b"], "  a\nx\nb\n"),
    "the line after an anchor like it": ("d = 1\nd = 1  \n", ["@@ d = 1", "-d = 1", "+e"], "d = 1\ne\n"),
    "blank context that is not after the anchor": ("\na\nx\n", ["@@ x", "+b", " "], "\na\nx\nb\n"),
    "blank context that the file does not have": ("a\nx\nc\n", ["@@ a", "+b", " "], "a\nb\nx\nc\n"),
    "several hunks": ("a\n  b\nc\n\td\n", ["@@", " a", "-b", "+B", "@@", " c", "-d", "+D", " "],
                      "a\nB\nc\nD\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", AS_CODEX)
async def test_patches_are_applied_as_by_codex(editor: EditorFixture, name: str) -> None:
    before, lines, after = AS_CODEX[name]
    editor.put(f=before)
    await editor.patch(envelope("*** Update File: f", *lines))
    assert editor.tree() == {"f": after.encode()}


@pytest.mark.parametrize(
    ("before", "lines", "after"),
    [
        ("a\n\nb", ["+x"], "a\n\nb\nx"),
        ("a\r\n\r\nb", ["+x"], "a\r\n\r\nb\r\nx"),
        ("a\n\n", ["+x", "+y"], "a\n\nx\ny\n"),
        ("a\n\n\n\n", ["+x", "+y"], "a\n\n\n\nx\ny\n"),
        ("a\r\n\r\n\r\n", ["+x"], "a\r\n\r\n\r\nx\r\n"),
        ("a\r\r\rb", ["+x"], "a\r\r\rb\rx"),
        ("a\n\n\nb", [" b", "+x"], "a\n\n\nb\nx"),
        ("a\n\n\nb", ["-b", "+x", "+y"], "a\n\n\nx\ny"),
        ("a\n\nb", ["+", "+x"], "a\n\nb\n\nx"),
    ],
)
async def test_every_written_line_has_one_line_end(
    editor: EditorFixture, before: str, lines: list[str], after: str
) -> None:
    editor.put(f=before)
    await editor.patch(envelope("*** Update File: f", "@@", *lines))
    assert editor.tree() == {"f": after.encode()}


@pytest.mark.parametrize(
    ("before", "lines", "how"),
    [
        ("a \nb\n", [" a", "-b", "+c"], TRAILING),
        ("“a”\nb\n", [' "a"', "-b", "+c"], QUOTES),
        (" a\n  b\n", [" a", "-b", "+c"], BLANKS),
    ],
)
async def test_the_tolerance_is_reported(
    editor: EditorFixture, before: str, lines: list[str], how: str
) -> None:
    editor.put(f=before)
    done = await editor.patch(envelope("*** Update File: f", *lines))
    assert f"hunk 1 (line 3 of the patch) is not there exactly; it matched lines 1-2 {how}" in done


@pytest.mark.parametrize(
    ("before", "lines"),
    [
        ("  a\n\tb\n a\n    b\n", [" a", "-b", "+c"]),
        ("a\n\nb\n\n", [" ", "+c"]),
        ("a\n  a\n", ["-   a", "+b"]),
    ],
)
async def test_an_ambiguous_place_is_refused(editor: EditorFixture, before: str, lines: list[str]) -> None:
    editor.put(f=before)
    assert "matches 2 places" in await editor.patch_refused(envelope("*** Update File: f", *lines))


@pytest.mark.parametrize("lines", [["-b", "+c"], [" ", "+c"], [" a", " ", "-b", "+c"], ["- ", "+c"]])
async def test_lines_that_do_not_occur_are_refused(editor: EditorFixture, lines: list[str]) -> None:
    editor.put(f="a\n", empty="")
    assert "does not match" in await editor.patch_refused(envelope("*** Update File: f", *lines))
    assert "does not match" in await editor.patch_refused(envelope("*** Update File: empty", *lines))


async def test_a_hunk_of_many_lines_takes_time_in_proportion_to_them(editor: EditorFixture) -> None:
    count = 10_000
    editor.put(f="a\n" * count)
    with anyio.fail_after(60):
        await editor.patch(
            "*** Begin Patch\n*** Update File: f\n@@\n" + "-a\n" * count + "+b\n" * count + "*** End Patch"
        )
    assert editor.tree() == {"f": b"b\n" * count}
