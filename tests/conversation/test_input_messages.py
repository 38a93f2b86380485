"""A caller's own messages: taken in part by part, or refused by the part's name."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.conversation.attached_files import MAX_FILE_TEXT
from agent_runtime.conversation.image_limits import prepare
from agent_runtime.conversation.input_messages import InputMessages, read_messages, read_task
from agent_runtime.errors import RequestError
from agent_runtime.protocol.messages import OFFICE, Document
from tests.conversation.messages import encoded, model, user

PNG = encoded()
DATA = base64.b64encode(PNG).decode()


def test_texts_parts_and_the_prompt_become_a_conversation(tmp_path: Path) -> None:
    raw = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
        {
            "role": "user",
            "content": "look",
            "parts": [{"type": "text", "text": "look"}, {"type": "text", "text": "here"}],
        },
        {"role": "assistant", "content": ""},
    ]
    assert read_messages(raw, workspace=tmp_path, prompt="Go \ud83d") == InputMessages(
        [user("Hi"), model("Hello"), user("look", "here"), user("Go \ufffd")], "Be brief."
    )


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image", "mediaType": "image/png", "data": DATA},
        {"type": "image", "media_type": "image/png", "data": DATA[:20] + "\n" + DATA[20:]},
        {"type": "image", "data": f"data:image/png;base64,{DATA}"},
        {"type": "image", "path": "shot.png"},
        {"type": "file", "path": "shot.png"},
    ],
)
def test_images_by_data_and_by_path(part: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "shot.png").write_bytes(PNG)
    taken = read_messages([{"role": "user", "content": [part]}], workspace=tmp_path)
    assert taken.messages == [user(prepare(PNG))]


def test_files_are_read_as_text_and_bounded(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("grün\n".encode() + b"\xff")
    (tmp_path / "big.txt").write_text("x" * (MAX_FILE_TEXT + 1))
    (tmp_path / "a.bin").write_bytes(b"\0\1")
    parts = [{"type": "file", "path": name} for name in ("a.txt", "big.txt", "a.bin")]
    [message] = read_messages([{"role": "user", "content": parts}], workspace=tmp_path).messages
    assert message == user(
        f'<file path="{tmp_path}/a.txt">\ngrün\n\ufffd\n</file>',
        f'<file path="{tmp_path}/big.txt">\n{"x" * MAX_FILE_TEXT}\n'
        "[cut here; read the rest with your tools]\n</file>",
        f"[The user attached the file {tmp_path}/a.bin. It is binary; look at it with your tools.]",
    )


@pytest.mark.parametrize(
    ("part", "media_type", "name"),
    [
        ({"name": "r.pdf", "mediaType": "application/pdf"}, "application/pdf", "r.pdf"),
        ({"media_type": "application/pdf"}, "application/pdf", "attachment.pdf"),
        ({"name": "/w/a/r", "mediaType": "application/x-pdf"}, "application/pdf", "r.pdf"),
        ({"name": "r.pdf", "data": "data:application/pdf;base64,JVBERi0A"}, "application/pdf", "r.pdf"),
        ({"name": "r.docx", "mediaType": "", "data": "UEsDBAA="}, OFFICE[".docx"], "r.docx"),
    ],
)
def test_files_by_data(part: dict[str, Any], media_type: str, name: str, tmp_path: Path) -> None:
    task, _ = read_task("go", [{"type": "file", "data": "JVBERi0A"} | part], workspace=tmp_path)
    document = task.blocks[1]
    assert isinstance(document, Document)
    assert (document.media_type, document.name) == (media_type, name)


def test_a_text_by_data_has_its_name_and_another_file_a_note(tmp_path: Path) -> None:
    data = [base64.b64encode(each).decode() for each in (b"x" * (MAX_FILE_TEXT + 1), b"\0\1", PNG)]
    kinds = [("text/plain", "a.txt"), ("application/zip", "a.zip"), ("image/png", "a")]
    parts = [
        {"type": "file", "data": each, "mediaType": kind, "name": name}
        for each, (kind, name) in zip(data, kinds, strict=True)
    ]
    task, notices = read_task("go", parts, workspace=tmp_path)
    assert task == user(
        "go",
        f'<file path="a.txt">\n{"x" * MAX_FILE_TEXT}\n[cut here; the rest is left out]\n</file>',
        "[The content of a.zip (application/zip) is left out: it is binary.]",
        prepare(PNG),
    )
    assert notices == ("a.zip: the model gets the name only: the file is binary",)


def content(*parts: Any) -> list[Any]:
    return [{"role": "user", "content": list(parts)}]


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (["hi"], "messages[0]"),
        ([{"content": "hi"}], "messages[0].role"),
        ([{"role": "tool", "content": "hi"}], "messages[0].role"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": 5}], "messages[0].content"),
        ([{"role": "user", "content": "a", "parts": {}}], "messages[0].parts"),
        (content(5), "messages[0].content[0]"),
        (content({"type": "audio"}), "messages[0].content[0].type"),
        (content({"type": "text"}), "messages[0].content[0].text"),
        (content("a", {"type": "image"}), "messages[0].content[1]"),
        (content({"type": "image", "data": DATA}), "messages[0].content[0].mediaType"),
        (
            content({"type": "image", "mediaType": "text/html", "data": DATA}),
            "messages[0].content[0].mediaType",
        ),
        (content({"type": "image", "mediaType": "image/png", "data": "%%"}), "messages[0].content[0].data"),
        (
            content({"type": "image", "mediaType": "image/png", "data": DATA[:40]}),
            "messages[0].content[0].data",
        ),
        (content({"type": "image", "path": "missing.png"}), "messages[0].content[0].path"),
        (content({"type": "file"}), "messages[0].content[0].path"),
        (content({"type": "file", "path": "missing"}), "messages[0].content[0].path"),
        (content({"type": "file", "data": DATA}), "messages[0].content[0].mediaType"),
        (content({"type": "file", "data": 5, "mediaType": "a/b"}), "messages[0].content[0].data"),
        (content({"type": "file", "data": "%%", "mediaType": "a/b"}), "messages[0].content[0].data"),
        (content({"type": "file", "data": "", "mediaType": "a/b", "name": 5}), "messages[0].content[0].name"),
        (content({"type": "file", "path": "."}), "messages[0].content[0].path"),
        (content({"type": "file", "path": "pipe"}), "messages[0].content[0].path"),
        ([*content("hi"), {"role": "assistant", "content": "hello"}], "messages"),
        (content(" "), "messages"),
        (
            [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": [{"type": "image", "path": "a"}]},
            ],
            "messages[1].content[0].type",
        ),
    ],
)
def test_invalid_messages_are_refused_with_the_name_of_the_field(
    raw: list[Any], field: str, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RequestError) as refused:
        read_messages(raw, workspace=tmp_path)
    assert refused.value.field == field
