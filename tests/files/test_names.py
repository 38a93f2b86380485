"""A name that looks the same as an entry of the directory means that entry, for every tool and in every component."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import pytest

from agent_runtime.errors import ToolError
from tests.files.editor_fixture import EditorFixture

pytestmark = pytest.mark.anyio


async def test_a_name_that_is_not_utf8_can_be_edited(editor: EditorFixture) -> None:
    """The model sees U+FFFD in it, and gives the name so."""
    (editor.folder / os.fsdecode(b"caf\xe9.txt")).write_text("latin\n")
    assert "latin" in (await editor.files.read("caf\ufffd.txt", tokens=100)).text
    assert (await editor.files.read(".", tokens=100)).text == "caf\ufffd.txt"


PAIRS = [
    ("cafe\u0301", "caf\u00e9"),
    ("caf\u00e9", "cafe\u0301"),
    ("1.00\u202fPM", "1.00 PM"),
    ("a\u00a0b", "a b"),
    ("a b", "a\u2009b"),
    ("a\u200bb", "ab"),
    ("\ufeffa", "a"),
    ("soft\u00adhyphen", "softhyphen"),
    ("l\u2019\u00e9tat \u201c1\u201d", 'l\'\u00e9tat "1"'),
]


@pytest.mark.parametrize(("there", "given"), PAIRS)
@pytest.mark.parametrize(
    "how", ["read", "replace", "insert", "write", "delete", "update", "remove", "move", "grep", "file_search"]
)
@pytest.mark.parametrize("below", [True, False])
async def test_a_lookalike_name_finds_the_existing_entry(
    editor: EditorFixture, there: str, given: str, how: str, below: bool
) -> None:
    """Every tool finds the entry that is meant, in any component of the path, and creates no second one."""
    real, path = (f"{there}/{there}.txt", f"{given}/{given}.txt") if below else (there, given)
    (editor.folder / real).parent.mkdir(exist_ok=True)
    (editor.folder / real).write_text("old\n")
    update = f"*** Begin Patch\n*** Update File: {path}\n{{}}-old\n+new\n*** End Patch"
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "read": lambda: editor.files.read(path, tokens=100),
        "replace": lambda: editor.replace(path, "old", "new"),
        "insert": lambda: editor.files.insert(path, 0, "new", call_id="c"),
        "write": lambda: editor.files.write(path, "new\n", call_id="c"),
        "delete": lambda: editor.files.delete(path, call_id="c"),
        "update": lambda: editor.patch(update.format("")),
        "remove": lambda: editor.patch(f"*** Begin Patch\n*** Delete File: {path}\n*** End Patch"),
        "move": lambda: editor.patch(update.format(f"*** Move to: {path}2\n")),
        "grep": lambda: editor.search.grep("old", path, limit=9, tokens=100),
        "file_search": lambda: editor.search.files("*", path, limit=9, tokens=100),
    }
    await calls[how]()
    after = {
        "read": {real: b"old\n"},
        "grep": {real: b"old\n"},
        "file_search": {real: b"old\n"},
        "insert": {real: b"new\nold\n"},
        "delete": {},
        "remove": {},
        "move": {f"{real.rpartition('/')[0]}/{given}.txt2".lstrip("/") if below else f"{given}2": b"new\n"},
    }.get(how, {real: b"new\n"})
    assert editor.tree() == after


async def test_new_files_are_created_in_the_lookalike_directory(editor: EditorFixture) -> None:
    (editor.folder / "e\u0301").mkdir()
    await editor.files.write("\u00e9/b.txt", "x", call_id="c")
    await editor.patch("*** Begin Patch\n*** Add File: \u00e9/c.txt\n+x\n*** End Patch")
    assert sorted(editor.tree()) == ["e\u0301/b.txt", "e\u0301/c.txt"]
    with pytest.raises(ToolError, match="exists already"):
        await editor.patch("*** Begin Patch\n*** Add File: e\u0301/b.txt\n+x\n*** End Patch")


async def test_the_exact_name_is_preferred_and_two_lookalikes_are_refused(editor: EditorFixture) -> None:
    for name in ("a b", "a\u00a0b"):
        (editor.folder / name).write_text(ascii(name))
        assert ascii(name) in (await editor.files.read(name, tokens=100)).text
    for call in (
        editor.files.read("a\u2009b", tokens=100),
        editor.files.write("a\u2009b", "x", call_id="c"),
    ):
        with pytest.raises(ToolError, match="2 names in"):
            await call


async def test_the_text_of_a_link_is_exact(editor: EditorFixture) -> None:
    (editor.folder / "e\u0301").write_text("x")
    (editor.folder / "link").symlink_to("\u00e9")
    with pytest.raises(ToolError, match="dangling symlink"):
        await editor.files.read("link", tokens=100)
