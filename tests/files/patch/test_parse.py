"""The `*** Begin Patch` format."""

from __future__ import annotations

import pytest

from tests.files.editor_fixture import EditorFixture

pytestmark = pytest.mark.anyio

CODE = """class A:
    def run(self):
        return 1

    def stop(self):
        return 0


class B:
    def run(self):
        return 1

    def stop(self):
        return 0
"""


def envelope(*lines: str) -> str:
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch"]) + "\n"


async def test_add_update_delete_and_move_in_one_patch(editor: EditorFixture) -> None:
    editor.put(a_txt="one\ntwo\n", b_txt="old\n", c_txt="x\ny\n")
    (editor.folder / "c.txt").chmod(0o755)
    done = await editor.patch(
        envelope(
            "*** Update File: a.txt", "@@", " one", "-two", "+2",
            "*** Delete File: b.txt",
            "*** Update File: c.txt", "*** Move to: new/d.txt", "@@", "-y", "+Y",
            "*** Add File: new/e.txt", "+", "+end",
        )
    )  # fmt: skip
    assert editor.tree() == {"a.txt": b"one\n2\n", "new/d.txt": b"x\nY\n", "new/e.txt": b"\nend\n"}
    assert (editor.folder / "new/d.txt").stat().st_mode & 0o777 == 0o755
    assert editor.changes == [(["a.txt", "b.txt", "c.txt", "new/d.txt", "new/e.txt"], "c")]
    assert done == (
        "Applied:\nM a.txt (at line 2 of the former text)\nD b.txt\n"
        "R c.txt -> new/d.txt (at line 2 of the former text)\nA new/e.txt (2 lines)"
    )


async def test_nested_and_single_anchors_locate_hunks(editor: EditorFixture) -> None:
    editor.put(a_py=CODE)
    await editor.patch(
        envelope(
            "*** Update File: a.py",
            "@@ class B:",
            "@@     def run(self):",
            "-        return 1",
            "+        return 2",
        )
    )
    assert (editor.folder / "a.py").read_text() == CODE[:-70] + CODE[-70:].replace("return 1", "return 2")
    await editor.patch(
        envelope(
            "*** Update File: a.py",
            "@@ class B:",
            " ",
            "     def stop(self):",
            "-        return 0",
            "+        return 9",
        )
    )
    assert (
        (editor.folder / "a.py").read_text().endswith("return 2\n\n    def stop(self):\n        return 9\n")
    )


async def test_repeated_lines_are_located_by_the_order_of_hunks(editor: EditorFixture) -> None:
    editor.put(a_txt="x\n1\nx\n2\nx\n")
    await editor.patch(
        envelope("*** Update File: a.txt", "@@", "-x", "+a", "@@", "-x", "+b", "@@", "-x", "+c")
    )
    assert editor.tree() == {"a.txt": b"a\n1\nb\n2\nc\n"}


async def test_an_ambiguous_hunk_names_all_its_lines(editor: EditorFixture) -> None:
    editor.put(a_py=CODE)
    said = await editor.patch_refused(
        envelope("*** Update File: a.py", "@@", "-        return 1", "+        return 2")
    )
    assert said.startswith("a.py: hunk 1 (line 3 of the patch) matches 2 places, at lines 3 and 11.")


async def test_a_hunk_that_does_not_match_names_file_hunk_and_line(editor: EditorFixture) -> None:
    editor.put(a_txt="one\ntwo\nthree\n", b_txt="b\n")
    said = await editor.patch_refused(
        envelope(
            "*** Update File: b.txt", "@@", "-b", "+B",
            "*** Update File: a.txt", "@@", " one", "-tow", "+2", " three",
        )
    )  # fmt: skip
    assert said.startswith(
        "a.txt: hunk 1 (line 7 of the patch) does not match the file. Nothing was changed."
    )
    assert "Line 2 differs: the file has 'two', you gave 'tow'." in said


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["*** Delete File: none"], "none: no such file"),
        (["*** Add File: a.txt", "+x"], "a.txt exists already"),
        (["*** Update File: b.txt", "*** Move to: a.txt"], "a.txt exists already"),
        (["*** Update File: a.txt"], "changes nothing"),
        (["*** Update File: a.txt", "@@ nowhere", " x", "+y"], "hunk 1 (line 6 of the patch) does not match"),
        (["*** Add File: n", "x"], "Line 6 of the patch is wrong: expected `+` at the start of every line"),
        (["*** Update File: a.txt", "@@", "?"], "Line 7 of the patch is wrong"),
        (["*** Frobnicate: a.txt"], "Line 5 of the patch is wrong"),
        (
            ["*** Update File: a.txt", "@@", "-a", "+a"],
            "changes nothing: every file has this content already",
        ),
    ],
)
async def test_an_invalid_patch_changes_nothing(editor: EditorFixture, lines: list[str], said: str) -> None:
    editor.put(a_txt="a\n", b_txt="b\n", c_txt="c\n")
    first = [] if "+a" in lines else ["*** Update File: c.txt", "-c", "+C"]
    assert said in await editor.patch_refused(envelope(*first, *lines))


async def test_delete_and_add_replace_a_file(editor: EditorFixture) -> None:
    editor.put(a_txt="a\n")
    await editor.patch(envelope("*** Delete File: a.txt", "*** Add File: a.txt", "+new"))
    assert editor.tree() == {"a.txt": b"new\n"}


async def test_two_updates_of_one_file_follow_each_other(editor: EditorFixture) -> None:
    editor.put(a_txt="a\nb\n")
    await editor.patch(
        envelope("*** Update File: a.txt", "-a", "+x", "*** Update File: ./a.txt", " x", "-b", "+y")
    )
    assert editor.tree() == {"a.txt": b"x\ny\n"}


async def test_a_patch_for_another_directory_is_refused(editor: EditorFixture) -> None:
    patch = envelope("*** Add File: a", "+x")
    said = await editor.patch_refused(f"cd sub && apply_patch <<'EOF'\n{patch}EOF\n")
    assert "relative to the workspace" in said


@pytest.mark.parametrize("end", ["", "\r\n"])
async def test_a_patch_with_crlf_line_ends_is_applied(editor: EditorFixture, end: str) -> None:
    """The line ends of the patch were converted on the way: the file keeps its own."""
    editor.put(lf="x\ny\n", crlf="x\r\ny\r\n")
    body = "@@\n x\n-y\n+z\n"
    files = f"*** Update File: lf\n{body}*** Update File: crlf\n{body}*** Add File: n\n+q\n"
    patch = f"*** Begin Patch\n{files}*** End Patch"
    await editor.patch(patch.replace("\n", "\r\n") + end)
    assert editor.tree() == {"lf": b"x\nz\n", "crlf": b"x\r\nz\r\n", "n": b"q\n"}


@pytest.mark.parametrize("wrap", ["apply_patch <<'EOF'\n{}EOF\n", "```\n{}```", "\n\n  {}\n", "{}\r\n"])
async def test_text_around_a_patch_is_ignored(editor: EditorFixture, wrap: str) -> None:
    editor.put(a_txt="a\n")
    await editor.patch(wrap.format(envelope("*** Update File: a.txt", "-a", "+b")))
    assert editor.tree() == {"a.txt": b"b\n"}


async def test_a_truncated_patch_is_not_applied(editor: EditorFixture) -> None:
    """Output that a token limit cut would still parse."""
    editor.put(a_txt="a\n")
    whole = envelope("*** Update File: a.txt", "-a", "+b")
    assert "is incomplete" in await editor.patch_refused(whole.removesuffix("*** End Patch\n"))


async def test_line_ends_encoding_and_a_missing_final_line_end_are_kept(editor: EditorFixture) -> None:
    editor.put(
        crlf="a\r\nb\r\nc", wide="ä\nb\n".encode("utf-16"), latin=b"caf\xe9\nx\n", mixed=b"a\nb\r\nc\rd\n"
    )
    await editor.patch(
        envelope(
            "*** Update File: crlf", " a", "-b", "+B", "+B2", "-c", "+C",
            "*** Update File: wide", "-b", "+ö",
            "*** Update File: latin", " café", "-x", "+é",
            "*** Update File: mixed", " b", "+new",
        )
    )  # fmt: skip
    assert editor.tree() == {
        "crlf": b"a\r\nB\r\nB2\r\nC",
        "wide": "ä\nö\n".encode("utf-16"),
        "latin": b"caf\xe9\n\xe9\n",
        "mixed": b"a\nb\r\nnew\r\nc\rd\n",
    }


async def test_end_of_file_hunks_and_pure_insertions_are_applied(editor: EditorFixture) -> None:
    editor.put(a_txt="x\ny\nx\n", b_txt="def f():\n    pass\n", c_txt="")
    await editor.patch(
        envelope(
            "*** Update File: a.txt", "@@", "-x", "+z", "*** End of File",
            "*** Update File: b.txt", "@@ def f():", "+    first()",
            "*** Update File: c.txt", "@@", "+new",
        )
    )  # fmt: skip
    assert editor.tree() == {
        "a.txt": b"x\ny\nz\n",
        "b.txt": b"def f():\n    first()\n    pass\n",
        "c.txt": b"new\n",
    }


async def test_a_tolerant_match_is_reported(editor: EditorFixture) -> None:
    editor.put(a_txt="    say(“hi”)  \n    go()\n")
    done = await editor.patch(
        envelope("*** Update File: a.txt", '     say("hi")', "-    go()", "+    stop()")
    )
    assert editor.tree() == {"a.txt": "    say(“hi”)  \n    stop()\n".encode()}
    assert "matched lines 1-2 except for typographic quotes" in done


@pytest.mark.parametrize("second", ["*** Delete File: f", "*** Update File: f", "*** Delete File: ./f"])
async def test_a_file_deleted_earlier_in_the_patch_is_refused(editor: EditorFixture, second: str) -> None:
    editor.put(f="a\n")
    lines = ["*** Delete File: f", second, *(["-a", "+b"] if "Update" in second else [])]
    assert "f is deleted or moved earlier in the same patch" in await editor.patch_refused(envelope(*lines))
