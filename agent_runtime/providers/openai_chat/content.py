"""The Chat Completions format: the texts of a message from the deltas of its stream, in all known dialects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from agent_runtime.agent.model import Delta
from agent_runtime.protocol.messages import (
    AssistantBlock,
    Text,
    Thinking,
)
from agent_runtime.providers.openai_chat.reasoning import (
    add_block,
    add_detail,
    add_part,
    thinking_part,
    thinking_text,
)
from agent_runtime.providers.wire_parts import (
    Pieces,
    objects,
    text_of,
)

# the names under which providers stream a model's reasoning
_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_text")
# fields that some providers expect back unchanged
_RETURNED = ("extra_content", "provider_specific_fields", "reasoning_opaque")


class MessageContent:
    """What the deltas of a stream add up to, apart from the tool calls."""

    def __init__(self) -> None:
        self._text = Pieces()
        self._thoughts = Pieces()
        self._thought_field = ""
        self._parts: list[dict[str, Any]] = []  # content that came as parts (Mistral), joined by kind
        self._details: list[dict[str, Any]] = []  # OpenRouter's reasoning_details, to be sent back
        self._signed: list[dict[str, Any]] = []  # LiteLLM's thinking_blocks, likewise
        self._extra: dict[str, Any] = {}
        self._refusal = Pieces()

    @property
    def text(self) -> str:
        """The text of the answer."""
        return self._text.text

    @property
    def refusal(self) -> str:
        """Why the model refused; empty when it did not."""
        return self._refusal.text

    def add(self, delta: dict[str, Any]) -> Iterator[Delta]:
        """Add a delta."""
        named = next((name for name in _THOUGHTS if text_of(delta.get(name))), "")
        if named:
            self._thought_field = self._thought_field or named
            yield from self._add_thought(delta[named])
        content = delta.get("content")
        for part in objects(content):
            yield from self._add_part(part)
        if self._parts and text_of(content):
            add_part(self._parts, {"type": "text", "text": content})
        yield from self.add_text(text_of(content))
        self._refusal.add(text_of(delta.get("refusal")))
        for detail in objects(delta.get("reasoning_details")):
            add_detail(self._details, detail)
        for block in objects(delta.get("thinking_blocks")):
            add_block(self._signed, block)
        self._extra |= {name: delta[name] for name in _RETURNED if delta.get(name)}

    def add_text(self, piece: str) -> Iterator[Delta]:
        """Add a piece of text."""
        if new := self._text.add(piece):
            yield Delta("text", new)

    def add_message(self, message: dict[str, Any]) -> Iterator[Delta]:
        """Add a whole message. Where it repeats the deltas before it, only what they lack is added."""
        content = message.get("content")
        if not (self.text or self._thoughts.text or self._parts):
            yield from self.add(message)
        elif isinstance(content, str) and content.startswith(self.text) and not self._parts:
            yield from self.add_text(content[len(self.text) :])

    def add_late(self, deltas: Sequence[dict[str, Any]]) -> None:
        """Add deltas that came after the end, unless they repeat the answer: some providers send its end repeatedly."""
        text = "".join(text_of(delta.get("content")) for delta in deltas)
        thoughts = "".join(text_of(delta.get(self._thought_field)) for delta in deltas)
        if not (self.text.startswith(text) and self._thoughts.text.startswith(thoughts)):
            for delta in deltas:
                list(self.add(delta))

    def end(self) -> Iterator[Delta]:
        """Yield what was held back because it might be half of a character; there are no more deltas."""
        if rest := self._thoughts.end():
            yield Delta("thinking", rest)
        if rest := self._text.end():
            yield Delta("text", rest)

    def blocks(self) -> list[AssistantBlock]:
        """Return the blocks of the message."""
        blocks: list[AssistantBlock] = []
        if self._thoughts.text:
            blocks.append(Thinking(text=self._thoughts.text))
        if self.text:
            blocks.append(Text(text=self.text))
        return blocks

    def native(self, calls: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the message, with its calls, as the provider would have sent it whole."""
        message: dict[str, Any] = {"role": "assistant", "content": self._parts or self.text or None}
        if self.refusal:
            message["refusal"] = self.refusal
        if self._thought_field:
            message[self._thought_field] = self._thoughts.text
        if self._details:
            message["reasoning_details"] = self._details
        if self._signed:
            message["thinking_blocks"] = self._signed
        if calls:
            message["tool_calls"] = calls
        return message | self._extra

    def _add_thought(self, piece: str) -> Iterator[Delta]:
        if new := self._thoughts.add(piece):
            yield Delta("thinking", new)

    def _add_part(self, part: dict[str, Any]) -> Iterator[Delta]:
        if not self._parts and self.text:  # what came before as plain text
            add_part(self._parts, {"type": "text", "text": self.text})
        if part.get("type") == "thinking":
            part = thinking_part(part)
            yield from self._add_thought(thinking_text(part))
        elif part.get("type") == "text":
            yield from self.add_text(text_of(part.get("text")))
        add_part(self._parts, part)
