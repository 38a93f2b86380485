"""Bodies of requests fit the parameter types of the vendors' SDKs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

import pytest
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from typing_extensions import is_typeddict

from agent_runtime.agent.model import ModelCall, ToolSpec
from agent_runtime.protocol.messages import (
    AssistantMessage,
    Document,
    Image,
    Message,
    Text,
    ToolCall,
    ToolResult,
    UserMessage,
)
from agent_runtime.providers.connect import wire_for
from agent_runtime.providers.endpoints import resolve
from tests.providers.asking import MODELS
from tests.support.formats import FORMATS

TYPES: dict[str, Any] = {
    "anthropic": MessageCreateParamsStreaming,
    "openai-responses": ResponseCreateParamsStreaming,
    "openai-chat": CompletionCreateParamsStreaming,
}
# parameters that the types no longer have: older models take them, and a refusal is learned from
OLDER = {("anthropic", "temperature")}
PIXEL = Image(media_type="image/png", data="iVBORw0KGgo=")
PDF = Document(media_type="application/pdf", path="a.pdf", data="JVBERi0=", pages=1, text="a", loss="")
TOOL = ToolSpec("bash", "Runs a command.", {"type": "object", "properties": {"command": {"type": "string"}}})
CALL = ToolCall(id="call_1", name="bash", arguments='{"command": "ls"}', input={"command": "ls"})
RESULT = ToolResult(id="call_1", name="bash", content=(Text(text="a b"), PIXEL), is_error=False)
FAILED = ToolResult(id="call_1", name="bash", content=(Text(text="no"),), is_error=True)


def turns(result: ToolResult) -> list[Message]:
    """A turn with a call, and its result."""
    return [
        UserMessage.of("go"),
        AssistantMessage(blocks=(Text(text="I look."), CALL)),
        UserMessage(blocks=(result,)),
    ]


CALLS: dict[str, dict[str, Any]] = {
    "text": {"messages": [UserMessage.of("go")]},
    "images": {"messages": [UserMessage(blocks=(Text(text="what is it?"), PIXEL))]},
    "documents": {"messages": [UserMessage(blocks=(Text(text="what is it?"), PDF))]},
    "tools": {"messages": turns(RESULT), "tools": (TOOL,), "parallel_tools": False},
    "a-failed-call": {"messages": turns(FAILED), "tools": (TOOL,)},
    "settings": {
        "messages": [UserMessage.of("go")],
        "max_tokens": 500,
        "effort": "high",
        "thinking": True,
        "cache_key": "k",
    },
    "temperature": {"messages": [UserMessage.of("go")], "temperature": 0.5, "thinking": False},
}


def fits(value: Any, kind: Any) -> bool:
    """Return whether a JSON value is of a type of the SDKs. No field may be unknown, and none missing."""
    origin, inner = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        fields = get_type_hints(kind, include_extras=True)
        required = {name for name, field in fields.items() if get_origin(field) is Required}
        if not isinstance(value, dict) or not required <= value.keys() <= fields.keys():
            return False
        return all(fits(item, fields[name]) for name, item in value.items())
    if origin in (Required, NotRequired, Annotated):
        return fits(value, inner[0])
    if origin in (Union, UnionType):
        return any(fits(value, each) for each in inner)
    if origin is Literal:
        return value in inner
    if origin in (list, Iterable, Sequence):
        return isinstance(value, list | tuple) and all(fits(item, inner[0]) for item in value)
    if kind in (None, Any, object):
        return kind is not None or value is None
    if kind is float:
        return isinstance(value, int | float)
    return isinstance(value, origin if origin is not None else kind)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("case", CALLS)
def test_a_body_fits_the_types_of_the_sdk(case: str, format: str) -> None:
    endpoint = resolve(MODELS[format], {})
    body, _ = wire_for(endpoint).encode(ModelCall(endpoint.model, "Be brief.", **CALLS[case]))
    fields = get_type_hints(TYPES[format], include_extras=True)
    body = {name: value for name, value in body.items() if (format, name) not in OLDER}
    assert body.keys() <= fields.keys()
    assert [name for name, value in body.items() if not fits(value, fields[name])] == []


@pytest.mark.parametrize(
    ("format", "wrong"),
    [
        ("anthropic", {"messages": [{"role": "user", "content": [{"type": "text", "txt": "x"}]}]}),
        ("anthropic", {"messages": [{"role": "system", "content": 1}]}),
        ("openai-responses", {"input": [{"type": "function_call", "call_id": "c"}]}),
        ("openai-chat", {"messages": [{"role": "tool", "content": "x"}]}),
        ("openai-chat", {"tools": [{"type": "function"}]}),
    ],
)
def test_the_types_refuse_what_is_wrong(format: str, wrong: dict[str, Any]) -> None:
    fields = get_type_hints(TYPES[format], include_extras=True)
    assert not any(fits(value, fields[name]) for name, value in wrong.items())
