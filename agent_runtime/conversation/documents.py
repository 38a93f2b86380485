"""Documents in a conversation, and the text that takes their place where a model does not read their format."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent_runtime.protocol.messages import Document, Message, Text, UserBlock, UserMessage


def documents(message: Message) -> Iterator[Document]:
    """Return the documents of a message."""
    if isinstance(message, UserMessage):
        yield from (block for block in message.blocks if isinstance(block, Document))


def has_document(message: Message) -> bool:
    """Return whether the message contains a document."""
    return any(True for _ in documents(message))


def as_text(message: Message, keep: Callable[[Document], bool] = lambda document: False) -> Message:
    """Return the message with a text in the place of each document that is not kept; itself when all are."""
    if not isinstance(message, UserMessage) or not has_document(message):
        return message
    blocks: tuple[UserBlock, ...] = tuple(
        Text(text=block.text) if isinstance(block, Document) and not keep(block) else block
        for block in message.blocks
    )
    return message if blocks == message.blocks else message.model_copy(update={"blocks": blocks})
