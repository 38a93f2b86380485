"""Rules for messages that some Chat Completions servers have: roles, order, and fields that they require."""

from __future__ import annotations

import itertools
from typing import Any

from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.wire_parts import object_of, objects

ACKNOWLEDGED = "I have the results."  # the assistant's message between results and what the user says
# reasoning that was not recorded; an empty text counts as missing
NO_REASONING = " "
# Google's documented value for calls that another model made
UNSIGNED = "skip_thought_signature_validator"

Message = dict[str, Any]


def adapt_messages(messages: list[Message], endpoint: Endpoint, *, thinks: bool) -> list[Message]:
    """The messages in the form that this provider requires. `thinks`: may the model think in this call?"""
    provider, model = endpoint.provider_row, endpoint.model_row
    if not provider.system_role:
        messages = _without_system(messages)
    if not provider.user_after_tool:
        messages = _with_assistant_after_tool(messages)
    if provider.reasoning_required and (thinks or not provider.thinking_style) and model.thinking != "none":
        messages = [_with_reasoning(message) for message in messages]
    if provider.signatures_required and model.signed_calls:
        messages = [_with_signature(message) for message in messages]
    return messages


def _without_system(messages: list[Message]) -> list[Message]:
    if len(messages) < 2 or messages[0]["role"] != "system" or messages[1]["role"] != "user":
        return messages
    system, user, *rest = messages
    content = user["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if all(part["type"] == "text" for part in parts):
        text = "\n\n".join([system["content"], *(part["text"] for part in parts)])
        return [user | {"content": text}, *rest]
    return [user | {"content": [{"type": "text", "text": system["content"]}, *parts]}, *rest]


def _with_assistant_after_tool(messages: list[Message]) -> list[Message]:
    adapted = messages[:1]
    for before, message in itertools.pairwise(messages):
        if before["role"] == "tool" and message["role"] == "user":
            adapted.append({"role": "assistant", "content": ACKNOWLEDGED})
        adapted.append(message)
    return adapted


def _with_reasoning(message: Message) -> Message:
    if message["role"] != "assistant" or message.get("reasoning_content"):
        return message
    return message | {"reasoning_content": NO_REASONING}


def _with_signature(message: Message) -> Message:
    calls = objects(message.get("tool_calls"))
    if not calls:
        return message
    extra = object_of(calls[0].get("extra_content"))
    google = object_of(extra.get("google"))
    if google.get("thought_signature"):
        return message
    signed = extra | {"google": google | {"thought_signature": UNSIGNED}}
    return message | {"tool_calls": [calls[0] | {"extra_content": signed}, *calls[1:]]}
