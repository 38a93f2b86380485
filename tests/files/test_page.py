"""Reading: line ranges, numbers, bounds, and no more of a large file than needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_runtime.errors import ToolError
from agent_runtime.files.editor import FileEditor
from agent_runtime.protocol.tool_output import ToolOutput
from tests.files.editor_fixture import EditorFixture

pytestmark = pytest.mark.anyio


async def text(editor: EditorFixture, path: str, *rest: int, tokens: int = 10_000) -> str:
    return (await editor.files.read(path, *rest, tokens=tokens)).text


async def test_lines_have_numbers_and_ranges_are_closed(editor: EditorFixture) -> None:
    editor.put(f="a\nb\nc\nd\n")
    assert await text(editor, "f") == "     1\ta\n     2\tb\n     3\tc\n     4\td"
    assert await text(editor, "f", 2, 3) == "     2\tb\n     3\tc\n[lines 2-3 of 4]"
    assert await text(editor, "f", 3, -1) == "     3\tc\n     4\td\n[lines 3-4 of 4]"
    assert await text(editor, "f", 0, 2) == await text(editor, "f", 1, 2)
    assert await text(editor, "f", 4, 99) == "     4\td\n[lines 4-4 of 4]"


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [(-1, 1, "counted from 1"), (5, 9, "has 4 lines; line 5"), (3, 2, "before it begins")],
)
async def test_invalid_ranges(editor: EditorFixture, first: int, last: int, said: str) -> None:
    editor.put(f="a\nb\nc\nd\n")
    with pytest.raises(ToolError, match=said):
        await editor.files.read("f", first, last, tokens=100)


async def test_notes_describe_invisible_properties_of_a_file(editor: EditorFixture) -> None:
    editor.put(
        crlf="a\r\nb\r\n", mixed="a\r\nb\n", mac="a\rb\r", open="a", empty="", nul=b"a\x00b and more text\n"
    )
    editor.put(wide="ä\n".encode("utf-16"), latin=b"caf\xe9\n", odd="a\x0cb\u2028c\n")
    assert await text(editor, "crlf") == "     1\ta\n     2\tb\n[line ends: CRLF]"
    assert (await text(editor, "mixed")).endswith("[line ends: CRLF and LF, mixed]")
    assert await text(editor, "mac") == "     1\ta\n     2\tb\n[line ends: CR]"
    assert await text(editor, "open") == "     1\ta\n[no line end at the end of the file]"
    assert await text(editor, "empty") == "(empty is empty)"
    assert await text(editor, "nul") == "     1\ta\u2400b and more text\n[NUL characters are shown as \u2400]"
    assert await text(editor, "wide") == "     1\tä\n[encoding: utf-16-le with BOM]"
    assert await text(editor, "latin") == "     1\tcafé\n[encoding: latin-1]"
    assert await text(editor, "odd") == "     1\ta\x0cb\u2028c"


async def test_output_is_bounded_and_names_the_next_line(editor: EditorFixture) -> None:
    editor.put(
        f="".join(f"line {i}\n" for i in range(1, 10_001)), wide="x" * 5_000 + "\nshort\n", one="y" * 50_000
    )
    output = await editor.files.read("f", tokens=500)
    lines = output.text.splitlines()
    assert lines[-1] == f"[lines 1-{len(lines) - 1} of 10,000; read on from line {len(lines)}]"
    assert len(output.text) < 500 * 4 + 100
    expected = {"truncated": True, "output_bytes": 98_894, "output_file": str(editor.folder / "f")}
    assert {name: getattr(output, name) for name in expected} == expected
    assert await text(editor, "wide") == f"     1\t{'x' * 2_000}... [3,000 more characters]\n     2\tshort"
    assert len(await text(editor, "one")) > 15_000


async def test_only_the_requested_part_of_a_large_file_is_read(editor: EditorFixture) -> None:
    """A sparse file of 8 GB: reading all of it would take minutes and more memory than there is."""
    path: Path = editor.folder / "big"
    with path.open("wb") as file:
        file.write("".join(f"{i}\n" for i in range(1, 100_001)).encode())
        file.truncate(8 << 30)
    numbered = await text(editor, "big", 50_000, 50_002)
    assert (
        numbered
        == " 50000\t50000\n 50001\t50001\n 50002\t50002\n[lines 50000-50002 of a file of 8,589,934,592 bytes]"
    )
    with pytest.raises(ToolError, match="at most 268,435,456 are accepted here"):
        await editor.replace("big", "50000", "x")


async def test_a_directory_is_listed(editor: EditorFixture) -> None:
    editor.put(b="", a="", _hidden="", _gitignore="ignored/\n")
    for name in ("sub/deep/deeper", "ignored/x", ".git/x", "node_modules/x"):
        (editor.folder / name).mkdir(parents=True)
    (editor.folder / "link").symlink_to("a")
    assert await editor.files.entries(".", depth=1, tokens=1_000) == (
        ".git/\n.gitignore\n.hidden\na\nb\nignored/\nlink -> a\nnode_modules/\nsub/"
    )
    assert await text(editor, ".") == (
        ".git/ (not listed)\n.gitignore\n.hidden\na\nb\nignored/ (not listed)\nlink -> a\n"
        "node_modules/ (not listed)\nsub/\n  deep/"
    )
    with pytest.raises(ToolError, match="a is not a directory"):
        await editor.files.entries("a", depth=1, tokens=100)


async def test_a_listing_is_bounded(editor: EditorFixture) -> None:
    for i in range(1_500):
        (editor.folder / f"{i:04}").touch()
    listed = (await editor.files.entries(".", depth=3, tokens=10_000)).splitlines()
    assert len(listed) == 1_001
    assert listed[-1].startswith("[500 more entries not listed")


async def test_paths_are_resolved_and_refused_with_a_reason(
    editor: EditorFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor.put(f="x\n")
    monkeypatch.setenv("HOME", str(editor.folder))
    for path in ("f", "./f", str(editor.folder / "f"), "../workspace/f", "~/f", "f/"):
        assert await text(editor, path) == "     1\tx"
    for path, said in (
        ("", "path is empty"),
        ("a\0b", "NUL"),
        ("f/x", "not a directory"),
        ("x" * 300, "name too long"),
        ("x/" * 100_000, "more than 200 components"),
    ):
        with pytest.raises(ToolError, match=said):
            await editor.files.read(path, tokens=100)
    output: ToolOutput = await editor.files.read("f", tokens=100)
    assert not output.truncated


async def test_the_home_directory_is_that_of_the_tools(editor: EditorFixture) -> None:
    editor.put(f="x\n")
    files = FileEditor(workspace=editor.folder / "elsewhere", home=editor.folder)
    assert (await files.read("~/f", tokens=100)).text == "     1\tx"


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
async def test_binary_files_are_refused_with_type_and_size(
    editor: EditorFixture, data: bytes, kind: str
) -> None:
    editor.put(f=data)
    with pytest.raises(ToolError, match=kind) as caught:
        await editor.files.read("f", tokens=100)
    assert f"({len(data):,} bytes)" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "ID3 tags\n",
        "BZh91AY&SY is what bzip2 files begin with\n",
        "wOFF\n",
        "wOF2 fonts\n",
        "OggS\n",
        "BM25 notes\nx\n",
        "BM\n",
        "BMI,age\n22,30\n",
        "BMW für alle\n",
        "GIF89a is a format, and GIF87a too;\n" * 50,
        "GIF87a\n",
        "RIFF....WEBP\n",
        "RIFFs, WEBPages and so on\n",
        "%PDF-\n",
        "%PDF-1.7 is the first line of a document, % begins a comment\n",
        "x" * 257 + "ustar and more\n",
        "x" * 257 + "ustar\n",
        "II*MM* stars\n",
        "\x1b[1mBM\x1b[0m\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
async def test_a_text_may_begin_with_the_letters_of_another_format(
    editor: EditorFixture, text: str, encoding: str
) -> None:
    editor.put(f=text.encode(encoding))
    assert text.split("\n")[0] in (await editor.files.read("f", tokens=1_000)).text


async def test_a_text_with_a_control_character_is_a_text(editor: EditorFixture) -> None:
    for name, text in (("bm", "BM25 notes\x00 and other things\n"), ("gif", "GIF89a\x01 is how it begins\n")):
        editor.put(**{name: text})
        assert "\t" + text[:3] in (await editor.files.read(name, tokens=100)).text
