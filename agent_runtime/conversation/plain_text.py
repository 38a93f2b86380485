"""A conversation as plain text, for the model that summarizes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent_runtime.protocol.messages import Document, Image, Message, Text, Thinking, ToolCall
from agent_runtime.protocol.text import truncate_middle

_BLOCK = 4_000  # bytes of one block


def plain_text(messages: Iterable[Message], limit: int) -> str:
    """Return the messages as text, with truncated blocks, and truncated in its middle to `limit` bytes of UTF-8."""
    return truncate_middle(
        "\n\n".join(section for message in messages for section in _sections(message)), limit
    )


def _sections(message: Message) -> Iterator[str]:
    for block in message.blocks:
        if isinstance(block, Text | Document):
            yield f"## {message.role.capitalize()}\n{truncate_middle(block.text, _BLOCK)}"
        elif isinstance(block, Thinking):
            continue  # its conclusions are in the calls and texts
        elif isinstance(block, ToolCall):
            yield f"## Call of {block.name}\n{truncate_middle(block.arguments, _BLOCK)}"
        elif isinstance(block, Image):
            yield "## User\n[image]"
        else:
            failed = " (failed)" if block.is_error else ""
            yield f"## Result of {block.name}{failed}\n{truncate_middle(block.text, _BLOCK // 2)}"
