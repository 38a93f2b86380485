"""Documents in a conversation, and the text that takes their place where a model does not read their format."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent_runtime.protocol.messages import (
    Content,
    Document,
    Message,
    Text,
    ToolResult,
    UserBlock,
    UserMessage,
)


def documents(message: Message) -> Iterator[Document]:
    """Return the documents of a message, in its tool results too."""
    if isinstance(message, UserMessage):
        for block in message.blocks:
            parts = block.content if isinstance(block, ToolResult) else (block,)
            yield from (part for part in parts if isinstance(part, Document))


def has_document(message: Message) -> bool:
    """Return whether the message contains a document."""
    return any(True for _ in documents(message))


def as_text(message: Message, keep: Callable[[Document], bool] = lambda document: False) -> Message:
    """Return the message with a text in the place of each document that is not kept; the message itself if all are."""
    if not isinstance(message, UserMessage) or not has_document(message):
        return message

    def fitted(part: Content) -> Content:
        return Text(text=part.text) if isinstance(part, Document) and not keep(part) else part

    blocks: tuple[UserBlock, ...] = tuple(
        block.model_copy(update={"content": tuple(map(fitted, block.content))})
        if isinstance(block, ToolResult)
        else fitted(block)
        for block in message.blocks
    )
    return message if blocks == message.blocks else message.model_copy(update={"blocks": blocks})
