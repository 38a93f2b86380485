"""Links: followed and kept, refused when they lead nowhere, and no way out of the roots (opencode#43336)."""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path

import pytest

from agent_runtime.errors import ToolError
from agent_runtime.files.editor import FileEditor
from tests.files.lab import Lab

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("target", ["nowhere", "missing/dir/file", "/nonexistent/x"])
async def test_a_dangling_link_is_refused(lab: Lab, target: str) -> None:
    (lab.folder / "link").symlink_to(target)
    for call in (
        lab.files.write("link", "x", call_id="c"),
        lab.replace("link", "x", "y"),
        lab.files.insert("link", 0, "x", call_id="c"),
        lab.patch("*** Begin Patch\n*** Add File: link\n+x\n*** End Patch"),
    ):
        with pytest.raises(ToolError, match="dangling symlink"):
            await call
    with pytest.raises(ToolError, match="dangling symlink"):
        await lab.files.read("link", tokens=100)
    assert lab.tree() == {}
    assert (lab.folder / "link").is_symlink()


async def test_a_link_in_a_circle_is_refused(lab: Lab) -> None:
    (lab.folder / "a").symlink_to("b")
    (lab.folder / "b").symlink_to("a")
    assert "too many levels of symlinks" in await lab.refused("a", "x", "y")


async def test_deleting_a_link_leaves_what_it_points_at(lab: Lab) -> None:
    lab.put(real="x")
    for name, target in (("one", "real"), ("two", "nowhere"), ("three", "real")):
        (lab.folder / name).symlink_to(target)
    await lab.files.delete("one", call_id="c")
    await lab.files.delete("two", call_id="c")
    await lab.patch("*** Begin Patch\n*** Delete File: three\n*** End Patch")
    assert sorted(path.name for path in lab.folder.iterdir()) == ["real"]


async def test_a_patch_moves_no_link(lab: Lab) -> None:
    """Moving what it leads to would leave it dangling."""
    lab.put(real="x\n")
    (lab.folder / "link").symlink_to("real")
    said = await lab.patch_refused(
        "*** Begin Patch\n*** Update File: link\n*** Move to: to\n-x\n+y\n*** End Patch"
    )
    assert said.startswith("link is a symlink: move what it leads to")


@pytest.fixture
def outside(lab: Lab) -> Path:
    folder = lab.folder.parent / "outside"
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
async def test_roots_confine_changes_whatever_the_way(lab: Lab, outside: Path, path: str) -> None:
    (lab.folder / "dir").symlink_to(outside)
    (lab.folder / "hop").symlink_to("dir")
    (lab.folder / "file").symlink_to(outside / "secret")
    files = FileEditor(workspace=lab.folder, roots=[lab.folder])
    path = path.format(outside=outside)
    patch = f"*** Begin Patch\n*** Update File: {path}\n-s\n+x\n*** End Patch"
    for call in (files.write(path, "x", call_id="c"), files.patch(patch, call_id="c")):
        with pytest.raises(ToolError, match="outside of the folders that may be changed"):
            await call
    assert {p.name: p.read_text() for p in outside.iterdir()} == {"secret": "s\n"}


async def test_roots_may_be_links_themselves_and_links_inside_are_fine(lab: Lab) -> None:
    lab.put(real="a")
    (lab.folder / "link").symlink_to(lab.folder / "real")
    (lab.folder.parent / "way").symlink_to(lab.folder)
    files = FileEditor(workspace=lab.folder.parent / "way", roots=[lab.folder.parent / "way"])
    await files.replace("link", "a", "b", call_id="c")
    await files.write("new/x", "x", call_id="c")
    assert (lab.folder / "real").read_text() == "b"
    assert (lab.folder / "new/x").read_text() == "x"


async def test_a_folder_swapped_for_a_link_while_writing_leads_nowhere_else(lab: Lab, outside: Path) -> None:
    """Another thread exchanges a folder and a link to the outside; no write may come out there."""
    inside, link = lab.folder / "dir", lab.folder / "other"
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
    files = FileEditor(workspace=lab.folder, roots=[lab.folder])
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


async def test_names_that_only_look_like_it(lab: Lab) -> None:
    """claude-code#50019: a name that is not UTF-8, or composed otherwise, can still be meant."""
    (lab.folder / os.fsdecode(b"caf\xe9.txt")).write_text("latin\n")
    (lab.folder / "cafe\u0301.md").write_text("decomposed\n")
    assert "latin" in (await lab.files.read("caf\ufffd.txt", tokens=100)).text
    await lab.replace("caf\u00e9.md", "decomposed", "x")
    assert (lab.folder / "cafe\u0301.md").read_text() == "x\n"
    assert (await lab.files.read(".", tokens=100)).text == "cafe\u0301.md\ncaf\ufffd.txt"
