"""Parallel calls: every edit is made, one after the other where they concern the same file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio
import pytest

from agent_runtime.files.editor import FileEditor
from tests.files.editor_fixture import EditorFixture

pytestmark = pytest.mark.anyio


async def test_concurrent_edits_of_one_file_are_both_applied(editor: EditorFixture) -> None:
    editor.put(f="".join(f"line {i};\n" for i in range(40)))
    (editor.folder / "link").symlink_to("f")
    async with anyio.create_task_group() as group:
        for i in range(40):
            group.start_soon(editor.replace, "f" if i % 2 else "link", f"line {i};", f"edited {i};")
    assert editor.tree()["f"] == "".join(f"edited {i};\n" for i in range(40)).encode()
    assert editor.changes == [(["f"], "c")] * 40


async def test_edits_and_patches_over_the_same_files(editor: EditorFixture) -> None:
    editor.put(a="1\n2\n", b="1\n2\n")
    async with anyio.create_task_group() as group:
        for first, second, old in (("a", "b", "1"), ("b", "a", "2")):
            hunks = "".join(f"*** Update File: {name}\n-{old}\n+{old}{old}\n" for name in (first, second))
            group.start_soon(editor.patch, f"*** Begin Patch\n{hunks}*** End Patch")
    assert editor.tree() == {"a": b"11\n22\n", "b": b"11\n22\n"}


async def test_new_files_in_a_new_directory(editor: EditorFixture) -> None:
    async with anyio.create_task_group() as group:
        for i in range(10):
            group.start_soon(partial(editor.files.write, f"new/deep/{i}", f"{i}", call_id="c"))
    assert editor.tree() == {f"new/deep/{i}": str(i).encode() for i in range(10)}


async def test_a_change_is_reported_before_the_next_edit(editor: EditorFixture) -> None:
    editor.put(f="0")
    texts: list[bytes] = []
    unlocked = FileEditor(workspace=editor.folder)

    async def note(paths: Sequence[Path], call_id: str) -> None:
        texts.append((editor.folder / "f").read_bytes())
        for name in "gh":  # takes as long as a write of `f` that did not wait
            await unlocked.write(name, "text", call_id="c")
        texts.append((editor.folder / "f").read_bytes())

    editor.files = FileEditor(workspace=editor.folder, on_change=note)
    async with anyio.create_task_group() as group:
        for i in range(5):
            group.start_soon(partial(editor.files.write, "f", f"text {i}", call_id="c"))
    assert texts[0::2] == texts[1::2]
    assert len(set(texts)) == 5


async def test_a_change_of_a_cancelled_call_is_reported(editor: EditorFixture) -> None:
    editor.put(f="a")
    started, cancelled = anyio.Event(), anyio.Event()

    async def note(paths: Sequence[Path], call_id: str) -> None:
        started.set()
        await cancelled.wait()
        await editor.note(paths, call_id)

    editor.files = FileEditor(workspace=editor.folder, on_change=note)
    async with anyio.create_task_group() as group:
        group.start_soon(editor.replace, "f", "a", "b")
        await started.wait()
        group.cancel_scope.cancel()
        cancelled.set()
    assert editor.changes == [(["f"], "c")]
    assert editor.tree() == {"f": b"b"}
