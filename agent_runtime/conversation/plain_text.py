"""A conversation as plain text: what a model reads to summarise it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent_runtime.protocol.messages import Image, Message, Text, Thinking, ToolCall

_BLOCK = 4_000  # characters of one block


def record(messages: Iterable[Message], limit: int) -> str:
    """The messages as text, each block bounded, the whole cut in its middle to `limit` bytes of UTF-8."""
    text = "\n\n".join(part for message in messages for part in _parts(message))
    size = len(text.encode())
    return text if size <= limit else cut(text, limit * len(text) // size)


def cut(text: str, limit: int) -> str:
    """Head and tail of a text of more than `limit` characters, a note between them; at most `limit` long."""
    if len(text) <= limit:
        return text
    side = max(0, limit - 60) // 2
    note = f"\n[... {len(text) - 2 * side} characters left out ...]\n"
    return f"{text[:side]}{note}{text[len(text) - side :]}"


def _parts(message: Message) -> Iterator[str]:
    for block in message.blocks:
        if isinstance(block, Text):
            yield f"## {message.role.capitalize()}\n{cut(block.text, _BLOCK)}"
        elif isinstance(block, Thinking):
            continue  # what came of it is in the calls and texts
        elif isinstance(block, ToolCall):
            yield f"## Call of {block.name}\n{cut(block.arguments, _BLOCK)}"
        elif isinstance(block, Image):
            yield "## User\n[image]"
        else:
            failed = " (failed)" if block.is_error else ""
            yield f"## Result of {block.name}{failed}\n{cut(block.text, _BLOCK // 2)}"
