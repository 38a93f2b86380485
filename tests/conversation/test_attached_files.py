"""Files attached to messages: in the encodings that the tools know, PDFs as their text, and what is left out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent_runtime.conversation.attached_files import MAX_FILE_TEXT, attach
from agent_runtime.errors import RequestError
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
    assert found.text.text == f'<file path="{path}">\n{TEXT * 5}\n</file>'
    assert not found.notice


@pytest.mark.parametrize(
    ("codec", "text"), [("shift-jis", "日本語テキスト表"), ("gbk", "标题"), ("koi8-r", "он")]
)
def test_an_encoding_that_is_not_known_is_reported(codec: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(f"# {text}\nx = 1\n".encode(codec))
    found = attach("f", path)
    assert "x = 1\n\n[its encoding is not known (shown as " in found.text.text
    assert "its encoding is not known" in found.notice


@pytest.mark.parametrize("codec", ["utf-8", "latin-1", "utf-16"])
def test_a_long_text_is_cut_between_characters(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"" + ("ü" * 7 + " Straße\n").encode(codec) * MAX_FILE_TEXT)
    text = attach("f", path).text.text
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
        ("cat >/dev/null", "in which no text was found", "the path only"),
        ("exit 3", "in which no text was found", "the path only"),
        (None, "It is a PDF; look at it", "pdftotext is not installed"),
    ],
)
def test_a_pdf_is_given_as_its_text(
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
    assert text in found.text.text
    assert notice in found.notice
    assert "sk-ant-secret" not in found.text.text


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


def test_a_file_that_cannot_be_read_is_an_invalid_request(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as refused:
        attach("parts[0].path", tmp_path / "none")
    assert refused.value.field == "parts[0].path"
