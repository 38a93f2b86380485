"""The messages of a thread as rows of JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from agent_runtime.conversation.threads.database import ThreadStoreError
from agent_runtime.models.twin import adapter_of
from agent_runtime.protocol.messages import AssistantMessage, Message, Text, ToolCall, UserMessage, too_deep

_TITLE = 200  # characters


def encode(messages: Sequence[Message]) -> str:
    """The row of these messages. ASCII, so that a message with a lone surrogate can be stored."""
    return json.dumps([_plain(message) for message in messages], separators=(",", ":"))


def decode(thread: str, row: str) -> list[Message]:
    """The messages of a row. Raises ThreadStoreError."""
    try:
        messages: list[Message] = adapter_of(list[Message]).validate_python(json.loads(row))
        return messages
    except (ValidationError, ValueError) as error:
        raise ThreadStoreError(
            f"the thread {thread!r} holds a message that cannot be read: {error}"
        ) from error


def title_of(messages: Sequence[Message]) -> str:
    """The beginning of the first text that a user wrote."""
    texts = (b.text for m in messages if isinstance(m, UserMessage) for b in m.blocks if isinstance(b, Text))
    return " ".join(next(texts, "")[: 4 * _TITLE].split())[:_TITLE]


def _plain(message: Message) -> dict[str, Any]:
    return _shallow(message).model_dump(by_alias=True)


def _shallow(message: Message) -> Message:
    """The message without inputs of calls that are nested too deeply to be written."""
    if isinstance(message, UserMessage):
        return message
    blocks = tuple(
        b.model_copy(update={"input": None}) if isinstance(b, ToolCall) and too_deep(b.input) else b
        for b in message.blocks
    )
    if all(b is before for b, before in zip(blocks, message.blocks, strict=True)):
        return message
    return AssistantMessage(blocks=blocks)
