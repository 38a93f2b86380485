"""Symlinks: followed and kept, refused when nothing is there, and never a way out of the roots."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agent_runtime.errors import ToolError
from agent_runtime.files.editor import FileEditor
from tests.files.editor_fixture import EditorFixture

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("target", ["nowhere", "missing/dir/file", "/nonexistent/x"])
async def test_a_dangling_link_is_refused(editor: EditorFixture, target: str) -> None:
    (editor.folder / "link").symlink_to(target)
    for call in (
        editor.files.write("link", "x", call_id="c"),
        editor.replace("link", "x", "y"),
        editor.files.insert("link", 0, "x", call_id="c"),
        editor.patch("*** Begin Patch\n*** Add File: link\n+x\n*** End Patch"),
    ):
        with pytest.raises(ToolError, match="dangling symlink"):
            await call
    with pytest.raises(ToolError, match="dangling symlink"):
        await editor.files.read("link", tokens=100)
    assert editor.tree() == {}
    assert (editor.folder / "link").is_symlink()


async def test_a_loop_of_links_is_refused(editor: EditorFixture) -> None:
    (editor.folder / "a").symlink_to("b")
    (editor.folder / "b").symlink_to("a")
    assert "too many levels of symlinks" in await editor.refused("a", "x", "y")


async def test_deleting_a_symlink_keeps_its_target(editor: EditorFixture) -> None:
    editor.put(real="x")
    for name, target in (("one", "real"), ("two", "nowhere"), ("three", "real")):
        (editor.folder / name).symlink_to(target)
    await editor.files.delete("one", call_id="c")
    await editor.files.delete("two", call_id="c")
    await editor.patch("*** Begin Patch\n*** Delete File: three\n*** End Patch")
    assert sorted(path.name for path in editor.folder.iterdir()) == ["real"]


async def test_a_patch_that_moves_a_link_is_refused(editor: EditorFixture) -> None:
    """Moving its target would leave it dangling."""
    editor.put(real="x\n")
    (editor.folder / "link").symlink_to("real")
    said = await editor.patch_refused(
        "*** Begin Patch\n*** Update File: link\n*** Move to: to\n-x\n+y\n*** End Patch"
    )
    assert said.startswith("link is a symlink: move its target")


@pytest.fixture
def outside(editor: EditorFixture) -> Path:
    folder = editor.folder.parent / "outside"
    folder.mkdir()
    (folder / "secret").write_text("s\n")
    return folder


@pytest.mark.parametrize(
    "path",
    [
        "../outside/secret",
        "{outside}/secret",
        "dir/secret",
        "file",
        "dir/new",
        "dir/../outside/new",
        "hop/secret",
    ],
)
@pytest.mark.parametrize(
    "how", ["write", "replace", "insert", "delete", "update", "remove", "add", "move", "into"]
)
async def test_roots_confine_changes(editor: EditorFixture, outside: Path, path: str, how: str) -> None:
    (editor.folder / "dir").symlink_to(outside)
    (editor.folder / "hop").symlink_to("dir")
    (editor.folder / "file").symlink_to(outside / "secret")
    (editor.folder / "inside").write_text("s\n")
    files = FileEditor(workspace=editor.folder, roots=[editor.folder])
    path = path.format(outside=outside)
    update = f"*** Update File: {path}\n"
    patches = {
        "update": f"{update}-s\n+x\n",
        "remove": f"*** Delete File: {path}\n",
        "add": f"*** Add File: {path}\n+x\n",
        "move": f"{update}*** Move to: here\n-s\n+x\n",
        "into": f"*** Update File: inside\n*** Move to: {path}\n-s\n+x\n",
    }
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "write": lambda: files.write(path, "x", call_id="c"),
        "replace": lambda: files.replace(path, "s", "x", call_id="c"),
        "insert": lambda: files.insert(path, 0, "x", call_id="c"),
        "delete": lambda: files.delete(path, call_id="c"),
    }
    patch = f"*** Begin Patch\n{patches.get(how, '')}*** End Patch"
    if path == "file" and how in ("delete", "remove"):  # the symlink itself, which is inside
        await calls.get(how, lambda: files.patch(patch, call_id="c"))()
    else:
        reason = (
            "is a symlink"
            if (path, how) == ("file", "move")
            else "outside of the folders that may be changed"
        )
        with pytest.raises(ToolError, match=reason):
            await calls.get(how, lambda: files.patch(patch, call_id="c"))()
    assert {p.name: p.read_text() for p in outside.iterdir()} == {"secret": "s\n"}
    assert (editor.folder / "inside").read_text() == "s\n"


async def test_links_to_roots_and_inside_of_roots(editor: EditorFixture) -> None:
    editor.put(real="a")
    (editor.folder / "link").symlink_to(editor.folder / "real")
    (editor.folder.parent / "way").symlink_to(editor.folder)
    files = FileEditor(workspace=editor.folder.parent / "way", roots=[editor.folder.parent / "way"])
    await files.replace("link", "a", "b", call_id="c")
    await files.write("new/x", "x", call_id="c")
    assert (editor.folder / "real").read_text() == "b"
    assert (editor.folder / "new/x").read_text() == "x"


async def test_a_folder_swapped_for_a_link_while_writing(editor: EditorFixture, outside: Path) -> None:
    """Another thread exchanges a directory and a symlink to the outside; nothing may be written there."""
    inside, link = editor.folder / "dir", editor.folder / "other"
    inside.mkdir()
    link.symlink_to(outside)
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        pytest.skip("no renameat2 in this C library")
    stop = threading.Event()

    def swap() -> None:
        at, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
        while not stop.is_set():
            libc.renameat2(at, os.fsencode(inside), at, os.fsencode(link), exchange)

    thread = threading.Thread(target=swap)
    thread.start()
    files = FileEditor(workspace=editor.folder, roots=[editor.folder])
    written = 0
    for i in range(200):
        try:
            await files.write("dir/f", f"{i}", call_id="c")
            written += 1
        except ToolError:
            continue
    stop.set()
    thread.join()
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert written
