"""Leaves out of a message what no provider takes: empty texts, lone surrogates, invalid names, a broken native form."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import field
from typing import TypeVar

from agent_runtime.conversation import provider_items as natives
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.protocol.messages import (
    NO_OUTPUT,
    AssistantBlock,
    AssistantMessage,
    Message,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    UserBlock,
    UserMessage,
    clean_text,
)

_INVALID = lazy_pattern(r"[^A-Za-z0-9_-]")  # in the names of tools
_MAX_NAME = 64
_UNSENDABLE = "text that cannot be encoded was replaced"

M = TypeVar("M", UserMessage, AssistantMessage)
Words = TypeVar("Words", Text, Thinking)


@dataclass
class Notes:
    """Counts the repairs, by a text that describes each kind."""

    found: Counter[str] = field(default_factory=Counter)

    def add(self, what: str) -> None:
        """Count one repair; "" is none."""
        if what:
            self.found[what] += 1


class NormalizeCache:
    """Caches what was found in each message, which never changes."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Message, Message | None, Counter[str]]] = {}

    def clean(self, message: Message, notes: Notes) -> Message | None:
        """The message by itself, without what cannot be sent."""
        key = id(message)  # the message is kept, so that no other gets its id
        if key not in self._known:
            own = Notes()
            self._known[key] = (message, clean_message(message, own), own.found)
        _, kept, found = self._known[key]
        notes.found.update(found)
        return kept


def clean_message(message: Message, notes: Notes) -> Message | None:
    """Return the message without what cannot be sent; None when nothing is left."""
    if isinstance(message, UserMessage):
        blocks = tuple(kept for block in message.blocks if (kept := _clean_user(block, notes)))
        return with_changes(message, blocks=blocks) if blocks else None
    said = tuple(fit for item in message.blocks if (fit := _clean_assistant(item, notes)))
    native = message.native
    if native:
        native, repair = natives.normalize_items(native, None)
        notes.add(repair)
    calls = tuple(item for item in said if isinstance(item, ToolCall))
    if native and not (calls == message.calls and natives.agrees(native, [call.id for call in calls])):
        notes.add("a turn whose native form did not agree with its blocks was sent as its blocks")
        native = None
    return unless_empty(with_changes(message, blocks=said, native=native))


def with_changes(message: M, **changes: object) -> M:
    """Return a copy with these fields changed; the message itself when they are the same."""
    # this runs for each message before every model call, and most messages are valid
    same = all((old := getattr(message, name)) is value or old == value for name, value in changes.items())
    return message if same else message.model_copy(update=changes)


def unless_empty(turn: AssistantMessage) -> AssistantMessage | None:
    """Return the turn; None when it says nothing that can be sent."""
    said_something = turn.native or not all(isinstance(block, Thinking) for block in turn.blocks)
    return turn if said_something else None  # reasoning goes back in its native form only


def _clean_user(block: UserBlock, notes: Notes) -> UserBlock | None:
    if isinstance(block, Text):
        return _clean_words(block, notes)
    if isinstance(block, ToolResult):
        parts = (_clean_words(part, notes) if isinstance(part, Text) else part for part in block.content)
        content = tuple(part for part in parts if part) or (Text(text=NO_OUTPUT),)
        return block if content == block.content else block.model_copy(update={"content": content})
    return block


def _clean_assistant(block: AssistantBlock, notes: Notes) -> AssistantBlock | None:
    if isinstance(block, Text):
        return _clean_words(block, notes)
    if isinstance(block, Thinking):
        return _clean_words(block, notes)
    changes: dict[str, object] = {}
    arguments, parsed = clean_text(block.arguments), natives.clean_json(block.input)
    if parsed != block.input:  # a `\\ud800` escape is plain ASCII, and a lone surrogate once it is parsed
        arguments = json.dumps(parsed, ensure_ascii=False)
    if arguments != block.arguments:
        notes.add(_UNSENDABLE)
        changes |= {"arguments": arguments, "input": parsed}
    name = _INVALID.sub("_", block.name)[:_MAX_NAME] or "unknown"
    if name != block.name:
        notes.add("an invalid tool name was changed")
        changes["name"] = name
    return block.model_copy(update=changes) if changes else block


def _clean_words(block: Words, notes: Notes) -> Words | None:
    text = clean_text(block.text)
    if not text.strip():  # Anthropic refuses a text of spaces as empty
        return None
    if text == block.text:
        return block
    notes.add(_UNSENDABLE)
    return block.model_copy(update={"text": text})
