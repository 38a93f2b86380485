"""A file that changed on disk is refused with its present text; a touch is no change (claude-code#25623)."""

from __future__ import annotations

import os

import pytest

from agent_runtime.errors import ToolError
from tests.files.lab import Lab

pytestmark = pytest.mark.anyio

PATCH = "*** Begin Patch\n*** Update File: f\n-a\n+b\n*** End Patch\n"


async def test_a_touch_or_the_same_bytes_again_are_no_change(lab: Lab) -> None:
    lab.put(f="a\n")
    await lab.files.read("f", tokens=100)
    os.utime(lab.folder / "f", (1, 1))
    await lab.replace("f", "a", "b")
    (lab.folder / "f").unlink()
    lab.put(f="b\n")
    await lab.replace("f", "b", "c")
    assert lab.tree() == {"f": b"c\n"}


@pytest.mark.parametrize("how", ["replace", "insert", "write", "delete", "patch"])
async def test_a_real_change_is_refused_with_the_fresh_text_and_then_known(lab: Lab, how: str) -> None:
    async def edit() -> str:
        if how == "replace":
            return await lab.replace("f", "a", "b")
        if how == "insert":
            return await lab.files.insert("f", 1, "b", call_id="c")
        if how == "write":
            return await lab.files.write("f", "b\n", call_id="c")
        return await (lab.files.delete("f", call_id="c") if how == "delete" else lab.patch(PATCH))

    lab.put(f="a\n")
    await lab.files.read("f", tokens=100)
    lab.put(f="fresh\na\n")
    with pytest.raises(ToolError) as caught:
        await edit()
    assert "f has changed on disk since you last read it, so nothing was written." in str(caught.value)
    assert "     1\tfresh\n     2\ta\n" in str(caught.value)
    assert lab.tree() == {"f": b"fresh\na\n"}
    assert not lab.changes
    await edit()  # the fresh text was shown: no loop
    assert lab.tree() != {"f": b"fresh\na\n"}


async def test_what_the_tools_wrote_is_known(lab: Lab) -> None:
    await lab.files.write("f", "a\n", call_id="c")
    await lab.replace("f", "a", "b")
    await lab.patch(PATCH.replace("-a\n+b", "-b\n+c"))
    await lab.replace("f", "c", "d")
    lab.put(f="else\n")
    assert "has changed on disk" in await lab.refused("f", "else", "x")


async def test_a_file_never_read_may_be_edited(lab: Lab) -> None:
    lab.put(f="a\n", g="x\n")
    await lab.replace("f", "a", "b")
    await lab.files.write("g", "y\n", call_id="c")
    assert lab.tree() == {"f": b"b\n", "g": b"y\n"}


async def test_of_a_long_file_the_part_that_matters_is_shown(lab: Lab) -> None:
    lab.put(f="".join(f"line {i}\n" for i in range(20_000)))
    await lab.files.read("f", 1, 5, tokens=100)
    lab.put(f="".join(f"line {i}{' changed' if i == 15_000 else ''}\n" for i in range(20_000)))
    said = await lab.refused("f", "line 15000\nline 15001", "x")
    assert "line 15000 changed" in said
    assert "of 20000)" in said
    assert len(said) < 20_000


async def test_a_large_file_of_which_a_part_was_shown(lab: Lab) -> None:
    """The same holds for it: a touch is no change, a change beyond the part is one."""
    lab.put(f="first\n" + "line\n" * 4_000_000 + "last\n")
    await lab.files.read("f", 1, 5, tokens=100)
    os.utime(lab.folder / "f", (1, 1))
    await lab.replace("f", "first", "First")
    await lab.files.read("f", 1, 5, tokens=100)
    with (lab.folder / "f").open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        file.write(b"LAST")
    os.utime(lab.folder / "f", (1, 1))
    assert "has changed on disk" in await lab.refused("f", "First", "x")


async def test_deleted_and_made_again_is_a_new_file(lab: Lab) -> None:
    await lab.files.write("f", "a\n", call_id="c")
    await lab.files.delete("f", call_id="c")
    lab.put(f="other\n")
    await lab.replace("f", "other", "x")
    assert lab.tree() == {"f": b"x\n"}
