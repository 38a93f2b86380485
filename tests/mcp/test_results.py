"""The results of MCP tools as tool outputs: documents, and what takes the place of files that no model reads."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from mcp_types import BlobResourceContents, CallToolResult, ContentBlock, EmbeddedResource, TextContent

from agent_runtime.agent.call_events import output_text
from agent_runtime.mcp.results import MAX_IMAGES, tool_output
from agent_runtime.protocol.messages import OFFICE, PDF, Document, Text
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell.truncation import OutputStore


def blob(data: bytes | str, media_type: str | None, uri: str = "https://x.example/r.pdf") -> EmbeddedResource:
    encoded = data if isinstance(data, str) else base64.b64encode(data).decode()
    resource = BlobResourceContents(uri=uri, mime_type=media_type, blob=encoded)
    return EmbeddedResource(type="resource", resource=resource)


def output_of(folder: Path, *content: ContentBlock, tokens: int = 1000) -> ToolOutput:
    result = CallToolResult(content=list(content))
    return tool_output(result, call_id="call_1", tokens=tokens, outputs=OutputStore(folder / "out"))


@pytest.fixture(autouse=True)
def pdf_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program in the place of pdftotext, which prints a page of 9,000 bytes."""
    program = tmp_path / "pdftotext"
    program.write_text("#!/bin/sh\ncat >/dev/null; printf 'total 42 %8991s\\f' end\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("data", "declared", "uri", "media_type", "name"),
    [
        (b"%PDF-1.7\0", PDF, "https://x.example/r.pdf", PDF, "r.pdf"),
        (b"%PDF-1.7\0", "application/octet-stream", "report://7", PDF, "7.pdf"),
        (b"%PDF-1.7\0", None, "https://x.example/get?id=1", PDF, "get.pdf"),
        (b"PK\3\4\0", OFFICE[".docx"], "https://x.example/letter", OFFICE[".docx"], "letter.docx"),
        (b"PK\3\4\0", None, "file:///w/table.XLSX", OFFICE[".xlsx"], "table.XLSX"),
    ],
)
def test_a_file_that_models_read_is_a_document(
    data: bytes, declared: str | None, uri: str, media_type: str, name: str, tmp_path: Path
) -> None:
    output = output_of(tmp_path, TextContent(type="text", text="here"), blob(data, declared, uri))
    [text, document] = output.content
    assert text == Text(text="here") and isinstance(document, Document)
    assert (document.media_type, document.name, document.path) == (media_type, name, uri)
    assert base64.b64decode(document.data) == data
    assert output_text(output) == f"here\n[document {media_type}, {len(document.data) * 3 // 4} bytes]"


@pytest.mark.parametrize(
    ("data", "media_type", "note"),
    [
        (b"PK\3\4\0", "application/zip", "(application/zip) is left out: it is binary"),
        (b"\0\1", None, "x://y is left out: it is binary"),
        (b"%PDF-" + bytes(33 << 20), PDF, "is left out: it is a large PDF"),
        ("%%%", PDF, "not valid base64"),
        ("ü", "application/x", "not valid base64"),
        (b"a,b\n1,2\n", "text/csv", "\na,b\n1,2\n"),
        ("Grüße".encode("latin-1") * 20, "text/plain", "GrüßeGrüße"),
    ],
)
def test_what_takes_the_place_of_another_file(
    data: bytes | str, media_type: str | None, note: str, tmp_path: Path
) -> None:
    [text] = output_of(tmp_path, blob(data, media_type, "x://y")).content
    assert isinstance(text, Text) and note in text.text


def test_the_text_of_a_document_is_truncated_as_any_output(tmp_path: Path) -> None:
    [document] = output_of(tmp_path, blob(b"%PDF-1.7\0", PDF), tokens=100).content
    assert isinstance(document, Document)
    assert "total 42" in document.text and "the whole output is in" in document.text
    assert len(document.text) < 1000


def test_more_documents_than_a_request_should_carry_are_left_out(tmp_path: Path) -> None:
    files = [blob(b"PK\3\4\0", OFFICE[".docx"]) for _ in range(MAX_IMAGES + 2)]
    content = output_of(tmp_path, *files).content
    assert sum(isinstance(part, Document) for part in content) == MAX_IMAGES
    assert content[-1] == Text(text="[2 more documents were left out]")
