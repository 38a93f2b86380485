"""Documents in requests: in their own format where the model reads it, otherwise as their text, which is reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.agent.model import ModelCall
from agent_runtime.conversation.image_limits import ImageLimits, fit_media
from agent_runtime.conversation.rejected import Rejection, drop_rejected
from agent_runtime.conversation.tokens import IMAGE_TOKENS, Estimator
from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import (
    OFFICE,
    AssistantMessage,
    Document,
    Message,
    Text,
    ToolCall,
    ToolResult,
    UserMessage,
)
from agent_runtime.providers.connect import wire_for
from agent_runtime.providers.endpoints import resolve
from agent_runtime.providers.learning import learn
from agent_runtime.testing.model_server import Fault, Turn
from agent_runtime.testing.plugin import Replay
from agent_runtime.testing.scripted import run_scripted

PDF = Document(
    media_type="application/pdf",
    path="/w/r.pdf",
    data="JVBERi0xLjc=",
    pages=3,
    text="<file>total 42</file>",
    loss="only its text is sent",
)
URL = "data:application/pdf;base64,JVBERi0xLjc="
SOURCE = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjc="}
DOCX = PDF.model_copy(update={"media_type": OFFICE[".docx"], "path": "/w/r.docx"})


def encoded(model: str, document: Document) -> tuple[list[dict[str, Any]], list[str]]:
    """The parts of the user's message, and the parameters that are reported."""
    message = UserMessage(blocks=(Text(text="sum up"), document))
    body, dropped = wire_for(resolve(model, {})).encode(ModelCall(model, "", [message]))
    [entry] = body.get("messages") or body["input"]
    return entry["content"], [item.parameter for item in dropped]


@pytest.mark.parametrize(
    ("model", "part"),
    [
        ("claude-sonnet-4-6", {"type": "document", "source": SOURCE, "title": "/w/r.pdf"}),
        ("gpt-5.5", {"type": "input_file", "filename": "r.pdf", "file_data": URL}),
        ("openai-chat:gpt-4o", {"type": "file", "file": {"filename": "r.pdf", "file_data": URL}}),
        ("openrouter:x/y", {"type": "file", "file": {"filename": "r.pdf", "file_data": URL}}),
    ],
)
def test_a_pdf_is_a_part_of_the_message(model: str, part: dict[str, Any]) -> None:
    [_, sent], reported = encoded(model, PDF)
    sent.pop("cache_control", None)
    assert (sent, reported) == (part, [])


@pytest.mark.parametrize(
    ("model", "document"),
    [
        ("groq:openai/gpt-oss-120b", PDF),
        ("mistral:mistral-large-latest", PDF),
        ("openai:gpt-3.5-turbo", PDF),
        ("claude-sonnet-4-6", DOCX),
        ("openai-chat:gpt-5.5", DOCX),
        ("claude-haiku-4-5", PDF.model_copy(update={"pages": 70})),
    ],
)
def test_the_text_is_sent_where_the_model_does_not_take_the_file(model: str, document: Document) -> None:
    [_, sent], reported = encoded(model, document)
    assert sent["text"] == PDF.text
    assert reported == [document.path]


def test_office_files_are_parts_where_the_api_takes_them() -> None:
    [_, sent], reported = encoded("gpt-5.5", DOCX)
    assert (sent["type"], sent["filename"], reported) == ("input_file", "r.docx", [])


def test_a_file_that_is_sent_as_text_is_encoded_once() -> None:
    wire = wire_for(resolve("openai:gpt-4", {}))
    task = UserMessage(blocks=(Text(text="sum up"), PDF))
    turns: list[Message] = [task, AssistantMessage(blocks=(Text(text="42"),)), UserMessage.of("and now?")]
    first, _ = wire.encode(ModelCall("gpt-4", "", turns[:1]))
    body, dropped = wire.encode(ModelCall("gpt-4", "", turns))
    assert body["input"][0] is first["input"][0] and not dropped


@pytest.mark.parametrize(
    "message",
    [
        "Invalid value: 'input_file'. Supported values are: 'input_text' and 'input_image'.",
        "This model does not support file content types.",
        "No endpoints found that support PDF input, and this one does not support PDFs",
        "unknown variant `file`, expected `text` or `image_url`",
        "messages.0.content.1: file inputs are not supported by this deployment",
    ],
)
@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "gpt-5.5", "openai-chat:gpt-5.5"])
def test_a_model_that_reads_no_files_is_learned(model: str, message: str) -> None:
    endpoint = resolve(model, {})
    error = ProviderError("provider_error", message, retryable=False, status=400)
    learned = learn(endpoint, error, {})
    assert learned is not None and learned.provider_row.documents == ()


@pytest.mark.parametrize(
    ("format", "message"),
    [
        ("anthropic", "messages.0.content.1.pdf.source.base64.data: The PDF specified was not valid."),
        ("openai-responses", "Invalid value: 'input_file'. Supported values are: 'input_text'."),
        ("openai-chat", "Invalid file data: 'messages[1].content[1].file'. Expected a base64-encoded file."),
    ],
)
def test_a_refused_document_is_sent_as_its_text(
    format: Any, message: str, tmp_path: Path, replay: Replay
) -> None:
    workspace = tmp_path / "w"
    workspace.mkdir()
    (workspace / "r.pdf").write_bytes(b"%PDF-1.7 \0 not a real one")
    done = run_scripted(
        [
            Turn(fault=Fault(400, message=message)),
            Turn("I look", calls=[("bash", {"command": "true"})]),
            Turn("42"),
        ],
        workspace,
        format=format,
        parts=[{"type": "file", "path": "r.pdf"}],
        tools=["bash"],
        options=["--record", str(tmp_path / "t.ndjson")],
    )
    first, *rest = (json.dumps(request.body) for request in done.requests)
    assert "JVBERi0xLjcg" in first
    assert len(rest) == 2 and all("JVBERi0" not in body and "It is a PDF" in body for body in rest)
    assert done.complete["status"] == "completed"
    notices = {each["code"] for each in done.of("notice")}
    assert len(notices & {"parameter_dropped", "history_repaired"}) == 1
    replay(tmp_path / "t.ndjson", None, "--verify=requests")


def test_a_thread_with_a_document_goes_on_at_another_provider(tmp_path: Path) -> None:
    (tmp_path / "r.pdf").write_bytes(b"%PDF-1.7 \0 not a real one")
    options = ["--state-dir", str(tmp_path / "state"), "--thread", "t"]
    first = run_scripted([Turn("42")], tmp_path, parts=[{"type": "file", "path": "r.pdf"}], options=options)
    (tmp_path / "r.pdf").unlink()
    second = run_scripted([Turn("yes")], tmp_path, format="openai-chat", options=options)
    third = run_scripted(
        [Turn("yes")], tmp_path, format="openai-chat", options=[*options, "--model", "openai-chat:gpt-4"]
    )
    assert "document" in json.dumps(first.requests[0].body["messages"])
    assert "file_data" in json.dumps(second.requests[0].body["messages"])
    assert "file_data" not in json.dumps(third.requests[0].body["messages"])
    assert "It is a PDF" in json.dumps(third.requests[0].body["messages"])


RESULT = ToolResult(id="call_1", name="get", content=(Text(text="found"), PDF))
CALL = AssistantMessage(blocks=(ToolCall(id="call_1", name="get", arguments="{}", input={}),))


def result_entries(model: str, *content: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """The entries of a request behind the call, and the parameters that are reported."""
    result = RESULT.model_copy(update={"content": content}) if content else RESULT
    history: list[Message] = [UserMessage.of("go"), CALL, UserMessage(blocks=(result,))]
    body, dropped = wire_for(resolve(model, {})).encode(ModelCall(model, "", history))
    entries = body.get("messages") or body["input"]
    return entries[2:], [item.parameter for item in dropped]


def test_the_document_of_a_result_is_a_part_of_it() -> None:
    [message], reported = result_entries("claude-sonnet-4-6")
    [result] = message["content"]
    assert result["content"] == [
        {"type": "text", "text": "found"},
        {"type": "document", "source": SOURCE, "title": "/w/r.pdf"},
    ]
    [output], more = result_entries("gpt-5.5")
    assert output["output"] == [
        {"type": "input_text", "text": "found"},
        {"type": "input_file", "filename": "r.pdf", "file_data": URL},
    ]
    assert reported == more == []


@pytest.mark.parametrize(("content", "text"), [((), "found"), ((PDF,), "(see the files below)")])
def test_the_document_of_a_result_follows_it_in_chat_completions(content: Any, text: str) -> None:
    [result, message], reported = result_entries("openai-chat:gpt-4o", *content)
    assert result["content"] == text
    assert message["content"] == [
        {"type": "text", "text": "The files of get:"},
        {"type": "file", "file": {"filename": "r.pdf", "file_data": URL}},
    ]
    assert reported == []


@pytest.mark.parametrize(
    "model", ["groq:openai/gpt-oss-120b", "openai:gpt-3.5-turbo", "mistral:mistral-large-latest"]
)
def test_the_text_of_a_result_s_document_is_sent_where_the_model_does_not_take_it(model: str) -> None:
    entries, reported = result_entries(model)
    assert PDF.data not in str(entries) and PDF.text in str(entries) and "found" in str(entries)
    assert reported == [PDF.path]


@pytest.mark.parametrize("words", ["messages.2.content.0: invalid PDF", "Could not process document"])
def test_the_document_of_a_result_that_is_refused_is_sent_as_its_text(words: str) -> None:
    found = drop_rejected([UserMessage.of("go"), CALL, UserMessage(blocks=(RESULT,))], Rejection(words))
    assert found is not None
    [result] = found.messages[2].blocks
    assert isinstance(result, ToolResult)
    assert result.content == (Text(text="found"), Text(text=PDF.text))


def test_the_documents_of_results_count_in_requests() -> None:
    size = Estimator(reads=lambda document: True).size([UserMessage(blocks=(RESULT,))])
    assert size > PDF.pages * IMAGE_TOKENS
    large = PDF.model_copy(update={"data": "A" * (11 << 20)})
    results = tuple(
        RESULT.model_copy(update={"id": f"call_{number}", "content": (large,)}) for number in (1, 2)
    )
    [fitted] = fit_media([UserMessage(blocks=results)], ImageLimits(), lambda what: None)
    kept = [part.type for block in fitted.blocks if isinstance(block, ToolResult) for part in block.content]
    assert kept == ["text", "document"]
