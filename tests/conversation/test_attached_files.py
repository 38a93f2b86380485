"""Files attached to messages: in the encodings that the tools know, PDFs as their text, and what is left out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent_runtime.conversation.attached_files import MAX_DOCUMENT, MAX_FILE_TEXT, attach
from agent_runtime.errors import RequestError
from agent_runtime.protocol.messages import Document, Text
from agent_runtime.testing.model_server import Turn
from agent_runtime.testing.plugin import Replay
from agent_runtime.testing.scripted import run_scripted

TEXT = "Grüße aus Köln: schöne Straßen, müde Füße, 5 £.\n"


@pytest.mark.parametrize(
    "codec", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_a_text_is_decoded_as_the_tools_do(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes((TEXT * 5).encode(codec))
    found = attach("f", path)
    assert found.block.text == f'<file path="{path}">\n{TEXT * 5}\n</file>'
    assert not found.notice


@pytest.mark.parametrize(
    ("codec", "text"), [("shift-jis", "日本語テキスト表"), ("gbk", "标题"), ("koi8-r", "он")]
)
def test_an_encoding_that_is_not_known_is_reported(codec: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(f"# {text}\nx = 1\n".encode(codec))
    found = attach("f", path)
    assert "x = 1\n\n[its encoding is not known (shown as " in found.block.text
    assert "its encoding is not known" in found.notice


@pytest.mark.parametrize("codec", ["utf-8", "latin-1", "utf-16"])
def test_a_long_text_is_cut_between_characters(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"" + ("ü" * 7 + " Straße\n").encode(codec) * MAX_FILE_TEXT)
    text = attach("f", path).block.text
    assert "[cut here" in text and "\ufffd" not in text
    assert len(text) < MAX_FILE_TEXT + 1000


def pdftotext(folder: Path, script: str) -> None:
    """A program of that name that stands for the real one."""
    program = folder / "pdftotext"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("script", "text", "notice"),
    [
        ("cat >/dev/null; printf 'page one\\fpage two'", "page one\n\npage two", "without its images"),
        ("cat >/dev/null; env", "PATH=", "without its images"),
        ("cat >/dev/null; printf '\\f\\f'", "It is a PDF; look at it", "the path only"),
        ("exit 3", "It is a PDF; look at it", "the path only"),
        (None, "It is a PDF; look at it", "pdftotext is not installed"),
    ],
)
def test_a_pdf_has_its_text_for_models_that_read_no_pdf(
    script: str | None, text: str, notice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    if script:
        pdftotext(programs, script)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}/bin" if script else str(programs))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-secret")
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-1.7\n\0\xff" + b"x" * MAX_FILE_TEXT)
    found = attach("f", path)
    assert text in found.block.text
    assert isinstance(found.block, Document)
    assert notice in found.block.loss and not found.notice
    assert "sk-ant-secret" not in found.block.text


def test_a_binary_file_is_named_and_reported(tmp_path: Path, replay: Replay) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w/a.bin").write_bytes(b"\x7fELF\0\0\1\2")
    transcript = tmp_path / "t.ndjson"
    done = run_scripted(
        [Turn(text="done")],
        tmp_path / "w",
        parts=[{"type": "file", "path": "a.bin"}],
        options=["--record", str(transcript)],
    )
    [notice] = [each for each in done.of("notice") if each["code"] == "parameter_dropped"]
    assert "the file is binary" in notice["message"]
    assert notice["seq"] == 1
    replay(transcript, None, "--verify=requests")


@pytest.mark.parametrize(
    ("name", "head", "media_type"),
    [
        ("a.docx", b"PK\3\4", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("A.XLSX", b"PK\3\4", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("a.xls", b"\xd0\xcf\x11\xe0", "application/vnd.ms-excel"),
    ],
)
def test_an_office_file_is_a_document(name: str, head: bytes, media_type: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(head + b"\0\1\2")
    found = attach("f", path)
    assert isinstance(found.block, Document) and not found.notice
    assert (found.block.media_type, found.block.name) == (media_type, name)
    assert "It is binary" in found.block.text and "the path only" in found.block.loss


@pytest.mark.parametrize(("name", "head"), [("a.pdf", b"%PDF-1.7\0"), ("a.docx", b"PK\3\4\0")])
def test_a_document_that_no_request_can_carry_is_a_text(
    name: str, head: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / name
    path.write_bytes(head)
    os.truncate(path, MAX_DOCUMENT + 1)
    found = attach("f", path)
    assert isinstance(found.block, Text)
    assert "the model gets the path only" in found.notice


def test_a_file_that_cannot_be_read_is_an_invalid_request(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as refused:
        attach("parts[0].path", tmp_path / "none")
    assert refused.value.field == "parts[0].path"
