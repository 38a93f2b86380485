"""What is no regular file is refused at once, and nothing waits (hermes PR#82075); keys stay unread."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import pytest

from agent_runtime.errors import ToolError
from tests.files.lab import Lab

pytestmark = pytest.mark.anyio


@pytest.fixture
async def at_once() -> AsyncIterator[None]:
    with anyio.fail_after(10):
        yield


@pytest.mark.parametrize("how", ["read", "replace", "write", "insert", "delete", "patch", "image", "grep"])
async def test_a_fifo(lab: Lab, how: str, at_once: None) -> None:
    os.mkfifo(lab.folder / "fifo")
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "read": lambda: lab.files.read("fifo", tokens=100),
        "replace": lambda: lab.replace("fifo", "a", "b"),
        "write": lambda: lab.files.write("fifo", "a", call_id="c"),
        "insert": lambda: lab.files.insert("fifo", 0, "a", call_id="c"),
        "delete": lambda: lab.files.delete("fifo", call_id="c"),
        "patch": lambda: lab.patch("*** Begin Patch\n*** Update File: fifo\n-a\n+b\n*** End Patch"),
        "image": lambda: lab.files.image("fifo"),
        "grep": lambda: lab.search.grep("a", "fifo", limit=1, tokens=100),
    }
    with pytest.raises(ToolError, match="fifo is a FIFO"):
        await calls[how]()


async def test_a_fifo_in_a_folder_is_passed_over(lab: Lab, at_once: None) -> None:
    os.mkfifo(lab.folder / "fifo")
    lab.put(a="x\n")
    assert await lab.search.grep("x", ".", limit=9, tokens=100) == "a:1:x"


async def test_devices_sockets_and_folders(lab: Lab, at_once: None) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        previous = os.open(".", os.O_RDONLY)
        os.chdir(lab.folder)  # the path of a socket is short
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
                await lab.files.read(path, tokens=100)
            with pytest.raises(ToolError, match=kind):
                await lab.files.write(path, "x", call_id="c")
    with pytest.raises(ToolError, match="a directory, not a regular file"):
        await lab.files.write(".", "x", call_id="c")


@pytest.mark.parametrize(
    "path",
    ["/proc/self/environ", "/proc/{pid}/environ", "/proc/thread-self/environ", "/proc/1/environ", "link"],
)
async def test_the_environment_of_processes_is_not_read(lab: Lab, path: str) -> None:
    """claude-code#10211: this process may see what the tools' own user may not."""
    (lab.folder / "link").symlink_to(f"/proc/{os.getpid()}/environ")
    path = path.format(pid=os.getpid())
    for call in (lab.files.read(path, tokens=100), lab.search.grep("KEY", path, limit=9, tokens=100)):
        with pytest.raises(ToolError, match=r"use the shell|no such file"):
            await call


async def test_other_files_of_proc_and_sys_are_read(lab: Lab, at_once: None) -> None:
    assert "Linux" in (await lab.files.read("/proc/version", tokens=1000)).text


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x7fELF\x02\x01\x01" + bytes(100), "an ELF executable"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
        (b"PK\x03\x04" + bytes(20), "a zip archive"),
        (bytes(range(256)) * 4, "binary data"),
        (b"SQLite format 3\x00", "an SQLite database"),
        (b"BZh91AY&SY\x17", "bzip2 data"),
        (b"wOF2\x00\x01\x00\x00\x17", "a font"),
    ],
)
async def test_binary_files_are_refused_with_type_and_size(lab: Lab, data: bytes, kind: str) -> None:
    lab.put(f=data)
    with pytest.raises(ToolError, match=kind) as caught:
        await lab.files.read("f", tokens=100)
    assert f"({len(data):,} bytes)" in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"ID3 tags\n", b"BZh is what bzip2 files begin with\n", b"wOFF\n", b"OggS\n"]
)
async def test_a_text_may_begin_with_the_letters_of_another_format(lab: Lab, data: bytes) -> None:
    lab.put(f=data)
    assert data.decode().strip() in (await lab.files.read("f", tokens=100)).text


async def test_half_characters_are_never_written(lab: Lab) -> None:
    """claude-code#68325: a lone surrogate from the model. A pair in two halves is one character."""
    lab.put(f="a\n")
    for call in (
        lab.files.write("g", "cut \ud83d", call_id="c"),
        lab.replace("f", "a", "\udc00"),
        lab.replace("f", "\ud83d", "x"),
        lab.files.insert("f", 0, "\ud83d", call_id="c"),
        lab.patch("*** Begin Patch\n*** Update File: f\n-a\n+\ud83d\n*** End Patch"),
        lab.files.write("\ud83d", "x", call_id="c"),
    ):
        with pytest.raises(ToolError, match="half a character"):
            await call
    assert lab.tree() == {"f": b"a\n"}
    await lab.replace("f", "a", "\ud83d\ude00 \ufffd")
    assert lab.tree() == {"f": "😀 \ufffd\n".encode()}


async def test_a_file_of_damaged_utf8_is_edited_around_the_damage(lab: Lab) -> None:
    lab.put(f="é ok\n".encode() + b"bad \xff\xfe\nend\n")
    shown = (await lab.files.read("f", tokens=100)).text
    assert "     2\tbad \ufffd\ufffd" in shown
    shown.encode()
    await lab.replace("f", "é ok", "ö ok")
    assert lab.tree() == {"f": "ö ok\n".encode() + b"bad \xff\xfe\nend\n"}
