"""Anything but a regular file is refused at once, without waiting; files of processes are not read."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import pytest

from agent_runtime.errors import ToolError
from tests.files.editor_fixture import EditorFixture

pytestmark = pytest.mark.anyio


@pytest.fixture
async def at_once() -> AsyncIterator[None]:
    with anyio.fail_after(60):
        yield


@pytest.mark.parametrize("how", ["read", "replace", "write", "insert", "delete", "patch", "image", "grep"])
async def test_a_fifo_is_refused(editor: EditorFixture, how: str, at_once: None) -> None:
    os.mkfifo(editor.folder / "fifo")
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "read": lambda: editor.files.read("fifo", tokens=100),
        "replace": lambda: editor.replace("fifo", "a", "b"),
        "write": lambda: editor.files.write("fifo", "a", call_id="c"),
        "insert": lambda: editor.files.insert("fifo", 0, "a", call_id="c"),
        "delete": lambda: editor.files.delete("fifo", call_id="c"),
        "patch": lambda: editor.patch("*** Begin Patch\n*** Update File: fifo\n-a\n+b\n*** End Patch"),
        "image": lambda: editor.files.image("fifo"),
        "grep": lambda: editor.search.grep("a", "fifo", limit=1, tokens=100),
    }
    with pytest.raises(ToolError, match="fifo is a FIFO"):
        await calls[how]()


async def test_a_fifo_in_a_directory_is_skipped(editor: EditorFixture, at_once: None) -> None:
    os.mkfifo(editor.folder / "fifo")
    editor.put(a="x\n")
    assert await editor.search.grep("x", ".", limit=9, tokens=100) == "a:1:x"


async def test_devices_sockets_and_directories_are_refused(editor: EditorFixture, at_once: None) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        previous = os.open(".", os.O_RDONLY)
        os.chdir(editor.folder)  # the path of a socket is short
        try:
            listener.bind("socket")
        finally:
            os.fchdir(previous)
            os.close(previous)
        for path, kind in (
            ("/dev/zero", "a character device"),
            ("/dev/tty", "a character device"),
            ("socket", "a socket"),
        ):
            with pytest.raises(ToolError, match=kind):
                await editor.files.read(path, tokens=100)
            with pytest.raises(ToolError, match=kind):
                await editor.files.write(path, "x", call_id="c")
    with pytest.raises(ToolError, match="a directory, not a regular file"):
        await editor.files.write(".", "x", call_id="c")


@pytest.mark.parametrize(
    "path",
    ["/proc/self/environ", "/proc/{pid}/environ", "/proc/thread-self/environ", "/proc/1/environ", "link"],
)
async def test_files_of_processes_are_not_read(editor: EditorFixture, path: str) -> None:
    """The runtime can read more of them than the user of the tools."""
    (editor.folder / "link").symlink_to(f"/proc/{os.getpid()}/environ")
    path = path.format(pid=os.getpid())
    for call in (editor.files.read(path, tokens=100), editor.search.grep("KEY", path, limit=9, tokens=100)):
        with pytest.raises(ToolError, match=r"use the shell|no such file"):
            await call


async def test_other_files_of_proc_and_sys_are_read(editor: EditorFixture, at_once: None) -> None:
    assert "Linux" in (await editor.files.read("/proc/version", tokens=1000)).text


async def test_lone_surrogates_are_never_written(editor: EditorFixture) -> None:
    """Two halves that make a pair are one character."""
    editor.put(f="a\n")
    for call in (
        editor.files.write("g", "cut \ud83d", call_id="c"),
        editor.replace("f", "a", "\udc00"),
        editor.replace("f", "\ud83d", "x"),
        editor.files.insert("f", 0, "\ud83d", call_id="c"),
        editor.patch("*** Begin Patch\n*** Update File: f\n-a\n+\ud83d\n*** End Patch"),
        editor.files.write("\ud83d", "x", call_id="c"),
    ):
        with pytest.raises(ToolError, match="half a character"):
            await call
    assert editor.tree() == {"f": b"a\n"}
    await editor.replace("f", "a", "\ud83d\ude00 \ufffd")
    assert editor.tree() == {"f": "😀 \ufffd\n".encode()}


async def test_damaged_utf8_is_edited_around_the_damage(editor: EditorFixture) -> None:
    editor.put(f="é ok\n".encode() + b"bad \xff\xfe\nend\n")
    text = (await editor.files.read("f", tokens=100)).text
    assert "     2\tbad \ufffd\ufffd" in text
    text.encode()
    await editor.replace("f", "é ok", "ö ok")
    assert editor.tree() == {"f": "ö ok\n".encode() + b"bad \xff\xfe\nend\n"}
