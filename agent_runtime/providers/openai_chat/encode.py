"""The Chat Completions format: a request body from our messages, for OpenAI and compatible providers.

Source: the Chat Completions API reference; where a provider differs, its row in `catalog` says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from agent_runtime.agent.model import Decoder, DroppedParameter, ModelCall, ToolSpec
from agent_runtime.conversation.memo import Memo
from agent_runtime.conversation.provider_items import clean_json
from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import (
    NO_OUTPUT,
    AssistantMessage,
    Content,
    Document,
    Message,
    Text,
    ToolCall,
    ToolResult,
    UserMessage,
    WireFormat,
)
from agent_runtime.providers.answer_format import FORMAT_NAME, answer_format
from agent_runtime.providers.call_ids import KnownIds
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.learning import learn
from agent_runtime.providers.openai_chat.decode import ChatDecoder
from agent_runtime.providers.openai_chat.dialect import adapt_messages
from agent_runtime.providers.openai_chat.thinking import add_thinking
from agent_runtime.providers.parameters import messages_for, omit, output_limit, refuse
from agent_runtime.providers.schema_dialects import OPENAI
from agent_runtime.providers.wire_parts import objects, sendable_input, short_id, sound_arguments


class OpenAIChat:
    """The wire of one Chat Completions endpoint."""

    format: WireFormat = "openai-chat"

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._fitted: Memo[Message, Message | None] = Memo()
        self._known_ids = KnownIds()
        self._system: Memo[str, dict[str, Any]] = Memo()
        self._encoded: Memo[Message, list[dict[str, Any]]] = Memo()

    def encode(self, call: ModelCall) -> tuple[dict[str, Any], Sequence[DroppedParameter]]:
        """The body."""
        endpoint, provider = self._endpoint, self._endpoint.provider_row
        dropped = list[DroppedParameter]()
        body: dict[str, Any] = {
            "model": endpoint.model,
            "messages": self._messages(call, dropped),
            "stream": True,
        }
        if provider.stream_usage:
            body["stream_options"] = {"include_usage": True}
        schema, specs = answer_format(call, endpoint, dropped, OPENAI)
        if schema is not None:
            format = {"name": FORMAT_NAME, "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": format}
        if tools := [_tool(spec) for spec in specs if not spec.hosted]:
            body["tools"] = tools
            if not call.parallel_tools and provider.parallel_flag:
                body["parallel_tool_calls"] = False
        if (limit := output_limit(call, endpoint, dropped)) is not None:
            body[provider.max_tokens_field] = limit
        if call.cache_key and provider.cache_key:
            body["prompt_cache_key"] = call.cache_key[:64]
        if call.temperature is not None:
            if endpoint.model_row.temperature:
                body["temperature"] = call.temperature
            else:
                dropped.append(refuse("temperature", endpoint))
        add_thinking(body, call, endpoint, dropped)
        body |= clean_json({name: value for name, value in body.items() if name != "messages"})
        return omit(body, endpoint, dropped), dropped

    def decoder(self, call: ModelCall) -> Decoder:
        """A decoder for the answer."""
        return ChatDecoder(self._endpoint.model, self._known_ids.of(call.messages))

    def adapted(self, error: ProviderError, body: dict[str, Any]) -> OpenAIChat | None:
        """See agent.model.Wire."""
        endpoint = learn(self._endpoint, error, body)
        return OpenAIChat(endpoint) if endpoint else None

    def _messages(self, call: ModelCall, dropped: list[DroppedParameter]) -> list[dict[str, Any]]:
        endpoint = self._endpoint
        messages: list[dict[str, Any]] = []
        if call.system.strip():
            messages += self._system.map([call.system], _system)
        fitted = messages_for(call, endpoint, dropped, self._fitted)
        messages += chain.from_iterable(self._encoded.map(fitted, self._message))
        return adapt_messages(messages, endpoint, thinks=call.thinking is not False)

    def _message(self, message: Message) -> list[dict[str, Any]]:
        if isinstance(message, UserMessage):
            encoded = list(_user(message, self._endpoint))
        else:
            encoded = list(_assistant(message, self._endpoint))
        cleaned: list[dict[str, Any]] = clean_json(encoded)
        return cleaned


# --- messages


def _system(text: str) -> dict[str, Any]:
    message: dict[str, Any] = clean_json({"role": "system", "content": text})
    return message


def _user(message: UserMessage, endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    """The results first, each a message of text only; then all else, with the images and files of the results."""
    content: list[dict[str, Any]] = []
    for block in message.blocks:
        if isinstance(block, ToolResult):
            texts = [part.text for part in block.content if isinstance(part, Text)]
            media = [part for part in block.content if not isinstance(part, Text)]
            kind = "files" if any(isinstance(part, Document) for part in media) else "images"
            text = "\n".join(texts) or (f"(see the {kind} below)" if media else NO_OUTPUT)
            yield {"role": "tool", "tool_call_id": _id(block.id, endpoint), "content": text}
            if media:
                content.append({"type": "text", "text": f"The {kind} of {block.name}:"})
                content += map(_part, media)
        elif not isinstance(block, Text) or block.text.strip():
            content.append(_part(block))
    if len(content) == 1 and content[0]["type"] == "text":
        yield {"role": "user", "content": content[0]["text"]}
    elif content:
        yield {"role": "user", "content": content}


def _part(block: Content) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"type": "text", "text": block.text}
    url = f"data:{block.media_type};base64,{block.data}"
    if isinstance(block, Document):
        return {"type": "file", "file": {"filename": block.name, "file_data": url}}
    return {"type": "image_url", "image_url": {"url": url}}


def _assistant(message: AssistantMessage, endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    if message.native is not None:
        yield from (_resent(item, endpoint) for item in message.native.items)
        return
    text = "".join(block.text for block in message.blocks if isinstance(block, Text))
    calls = [_call(block, endpoint) for block in message.calls]
    if text.strip() or calls:
        yield {"role": "assistant", "content": text or None} | ({"tool_calls": calls} if calls else {})


def _resent(item: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """The message as it came, except for arguments that are not a JSON object: templates parse them, and would fail."""
    if "tool_calls" not in item:
        return item
    return item | {"tool_calls": [_sound(call, endpoint) for call in objects(item["tool_calls"])]}


def _sound(call: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    arguments = sound_arguments(call["function"].get("arguments") or "")
    return call | {"id": _id(call["id"], endpoint), "function": call["function"] | {"arguments": arguments}}


def _call(call: ToolCall, endpoint: Endpoint) -> dict[str, Any]:
    arguments = json.dumps(sendable_input(call), ensure_ascii=False)
    function = {"name": call.name, "arguments": arguments}
    return {"id": _id(call.id, endpoint), "type": "function", "function": function}


def _id(id: str, endpoint: Endpoint) -> str:
    return short_id(id) if endpoint.provider_row.short_ids else id


def _tool(spec: ToolSpec) -> dict[str, Any]:
    function = {"name": spec.name, "description": spec.description, "parameters": spec.parameters}
    return {"type": "function", "function": function}
