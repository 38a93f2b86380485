"""The encoding of a file is decided by all of its bytes, and kept by every edit."""

from __future__ import annotations

import time

import pytest

from agent_runtime.text_encoding import detect
from tests.files.editor_fixture import EditorFixture

WESTERN = [
    ("cp1252", "„Spaß“\nx=1\nschön\n"),
    ("cp1252", "Größe “x”\nx=1\n"),
    ("cp1252", "# Ü“ É… À» “a”\nx=1\n"),
    ("cp1252", "Das heißt “so” groß… Straß°\nx=1\n"),
    ("cp1252", "IRMÃ” não\nx=1\n"),
    ("cp1252", "“É… É” Ü… ß“ 20°\nx=1\n"),
    ("latin-1", "«\xa0CAFÉ\xa0»\nx=1\n"),
    ("latin-1", "Ü» ä\nx=1\n"),
    ("latin-1", "[äöü] [éè] [ÄÖ]\nx=1\n"),
    ("latin-1", "créée Îlé MÜÖß\nx=1\n"),
    ("latin-1", "[a-zäöüÄÖÜß]+ [éèêëàâîïôûùç]+\nx=1\n"),
    ("cp1252", "“æøåÆØÅ” ¿áéíóúñ?\nx=1\n"),
    ("latin-1", "caf\xe9\nx=1\n"),
    ("latin-1", "\xa9 2026\nx=1\n"),
    ("latin-1", "\xe0 la carte\nx=1\n"),
    ("cp1252", "it\u2019s\nx=1\n"),
    ("latin-1", "GR\xd6\xdfE\nx=1\n"),
    ("latin-1", "na\xefvet\xe9\nx=1\n"),
    ("latin-1", "\xc4pfel\nx=1\n"),
    ("latin-1", "[\xe4\xf6\xfc]\nx=1\n"),
    ("latin-1", "1 µs ± 3 °C, £5, créée\nx=1\n"),
]
OTHER = [
    ("gbk", "// 登录\nx=1\n"),
    ("gbk", "标题\nx=1\n"),
    ("gbk", "/* 这是一个测试文件 */\nx=1\n"),
    ("gbk", "// 漏掉的路径 录入\nx=1\n"),
    ("gbk", "// 中\nx=1\n"),
    ("gbk", "x热\nx=1\n"),
    ("gbk", "key: 表\nx=1\n"),
    ("gbk", "文件\nx=1\n"),
    ("euc-kr", "# 한\nx=1\n"),
    ("euc-jp", "# 設\nx=1\n"),
    ("shift-jis", "# 表\nx=1\n"),
    ("shift-jis", "# 能\nx=1\n"),
    ("big5", "# 功\nx=1\n"),
    ("cp1251", "# да\nx=1\n"),
    ("cp1251", "# не\nx=1\n"),
    ("koi8-r", "; он\nx=1\n"),
    ("cp1253", "# να\nx=1\n"),
    ("big5", "# 測試檔案\nx=1\n"),
    ("shift-jis", "; 設定\nx=1\n"),
    ("shift-jis", "// テスト\nx=1\n"),
    ("euc-jp", "# ではなので\nx=1\n"),
    ("euc-kr", "# 한글 테스트 파일\nx=1\n"),
    ("cp1251", "«ИТОГ»\nx=1\n"),
    ("cp1251", "ВСЁ ИТОГО…\nx=1\n"),
    ("koi8-r", "# для проверки\nx=1\n"),
    ("cp1253", "καλημέρα κόσμε\nx=1\n"),
]
DAMAGED = [
    "é ok\n".encode() + b"bad \xff\xfe\nx=1\n",
    "é ü".encode() + b" \xe9\nx=1\n",
    "20 °C – x".encode() + b"\x80\nx=1\n",
    "привет мир".encode() + b" \xd0\nx=1\n",
    "登録の設定です".encode() + b"\xff" + "日本語のテキスト\nx=1\n".encode(),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("encoding", "text"), WESTERN)
async def test_a_western_file_keeps_its_encoding_over_many_edits(
    editor: EditorFixture, encoding: str, text: str
) -> None:
    editor.put(f=text.encode(encoding))
    for old, new in (("x=1", "x=CAFÉ»"), ("x=CAFÉ»", "x=À» É» Ü» Ñ»"), ("x=À» É» Ü» Ñ»", "x=für")):
        await editor.replace("f", old, new)
        text = text.replace(old, new)
        assert editor.tree() == {"f": text.encode(encoding)}
    assert "x=für" in (await editor.files.read("f", tokens=500)).text


@pytest.mark.anyio
@pytest.mark.parametrize(("encoding", "text"), [*WESTERN, *OTHER])
async def test_a_character_that_the_encoding_may_lack_is_refused_by_name(
    editor: EditorFixture, encoding: str, text: str
) -> None:
    data = text.encode(encoding)
    editor.put(f=data)
    for char in "登д한":
        said = await editor.refused("f", "x=1", f"x={char}")
        assert f"{char!r} (U+{ord(char):04X})" in said
    if (encoding, text) in OTHER:
        assert "encoding of the file is not known" in await editor.refused("f", "x=1", "x=ü")
        assert "encoding: not known" in (await editor.files.read("f", tokens=500)).text
    assert editor.tree() == {"f": data}
    await editor.replace("f", "x=1", "x=2")
    assert editor.tree() == {"f": data.replace(b"x=1", b"x=2")}


@pytest.mark.anyio
@pytest.mark.parametrize("data", DAMAGED)
async def test_damaged_utf8_is_detected_as_utf8(editor: EditorFixture, data: bytes) -> None:
    editor.put(f=data)
    await editor.replace("f", "x=1", "x=für")
    assert editor.tree() == {"f": data.replace(b"x=1", "x=für".encode())}


def test_encoding_detection_does_not_depend_on_the_size_of_the_file() -> None:
    legacy = "schön „groß“ und für “É”\n".encode("cp1252")
    assert [detect(legacy * times).codec for times in (1, 100, 10_000)] == ["cp1252"] * 3
    damaged = "schön und für\n".encode() * 20 + b"\xff\n"
    assert [detect(damaged * times).errors for times in (1, 100, 10_000)] == ["surrogateescape"] * 3


def test_the_time_is_in_proportion_to_the_file() -> None:
    begun = time.process_time()
    for run in (
        b"\xa0" * 1_000_000 + b"\xe9" * 5,
        b"\xc3\xa9\xff" * 300_000,
        b"\xe9 " * 400_000,
        b"\xdf\x93 " * 300_000,
    ):
        detect(b"x " + run + b"\xff")
    assert time.process_time() - begun < 5  # seconds; hours without the bound
