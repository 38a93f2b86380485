"""A file that changed on disk is refused with its present text; a touch is not a change."""

from __future__ import annotations

import os

import pytest

from agent_runtime.errors import ToolError
from tests.files.editor_fixture import EditorFixture

pytestmark = pytest.mark.anyio

PATCH = "*** Begin Patch\n*** Update File: f\n-a\n+b\n*** End Patch\n"


async def test_a_touch_or_the_same_bytes_are_not_a_change(editor: EditorFixture) -> None:
    editor.put(f="a\n")
    await editor.files.read("f", tokens=100)
    os.utime(editor.folder / "f", (1, 1))
    await editor.replace("f", "a", "b")
    (editor.folder / "f").unlink()
    editor.put(f="b\n")
    await editor.replace("f", "b", "c")
    assert editor.tree() == {"f": b"c\n"}


@pytest.mark.parametrize("how", ["replace", "insert", "write", "delete", "patch"])
async def test_a_changed_file_is_refused_once_with_its_text(editor: EditorFixture, how: str) -> None:
    async def edit() -> str:
        if how == "replace":
            return await editor.replace("f", "a", "b")
        if how == "insert":
            return await editor.files.insert("f", 1, "b", call_id="c")
        if how == "write":
            return await editor.files.write("f", "b\n", call_id="c")
        return await (editor.files.delete("f", call_id="c") if how == "delete" else editor.patch(PATCH))

    editor.put(f="a\n")
    await editor.files.read("f", tokens=100)
    editor.put(f="fresh\na\n")
    with pytest.raises(ToolError) as caught:
        await edit()
    assert "f has changed on disk since you last read it, so nothing was written." in str(caught.value)
    assert "     1\tfresh\n     2\ta\n" in str(caught.value)
    assert editor.tree() == {"f": b"fresh\na\n"}
    assert not editor.changes
    await edit()  # the text was returned with the refusal: the second try is accepted
    assert editor.tree() != {"f": b"fresh\na\n"}


async def test_content_written_by_the_tools_counts_as_seen(editor: EditorFixture) -> None:
    await editor.files.write("f", "a\n", call_id="c")
    await editor.replace("f", "a", "b")
    await editor.patch(PATCH.replace("-a\n+b", "-b\n+c"))
    await editor.replace("f", "c", "d")
    editor.put(f="else\n")
    assert "has changed on disk" in await editor.refused("f", "else", "x")


async def test_a_file_never_read_may_be_edited(editor: EditorFixture) -> None:
    editor.put(f="a\n", g="x\n")
    await editor.replace("f", "a", "b")
    await editor.files.write("g", "y\n", call_id="c")
    assert editor.tree() == {"f": b"b\n", "g": b"y\n"}


async def test_the_relevant_part_of_a_long_file_is_returned(editor: EditorFixture) -> None:
    editor.put(f="".join(f"line {i}\n" for i in range(20_000)))
    await editor.files.read("f", 1, 5, tokens=100)
    editor.put(f="".join(f"line {i}{' changed' if i == 15_000 else ''}\n" for i in range(20_000)))
    said = await editor.refused("f", "line 15000\nline 15001", "x")
    assert "line 15000 changed" in said
    assert "of 20000)" in said
    assert len(said) < 20_000


async def test_a_large_file_of_which_a_part_was_read(editor: EditorFixture) -> None:
    """A touch is not a change, but a change outside of the part is one."""
    editor.put(f="first\n" + "line\n" * 4_000_000 + "last\n")
    await editor.files.read("f", 1, 5, tokens=100)
    os.utime(editor.folder / "f", (1, 1))
    await editor.replace("f", "first", "First")
    await editor.files.read("f", 1, 5, tokens=100)
    with (editor.folder / "f").open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        file.write(b"LAST")
    os.utime(editor.folder / "f", (1, 1))
    assert "has changed on disk" in await editor.refused("f", "First", "x")


async def test_a_file_deleted_and_created_again_is_new(editor: EditorFixture) -> None:
    await editor.files.write("f", "a\n", call_id="c")
    await editor.files.delete("f", call_id="c")
    editor.put(f="other\n")
    await editor.replace("f", "other", "x")
    assert editor.tree() == {"f": b"x\n"}
