"""The Messages format of Anthropic: a content block from its start and its deltas, kept as it came."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import field
from typing import Any

from agent_runtime.agent.model import DeltaKind
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import AssistantBlock, Text, Thinking, parse_arguments
from agent_runtime.providers.wire_parts import ArgumentPieces, Pieces, sendable_input, text_of, tool_call

NewText = tuple[DeltaKind, str]

# by the type of a delta, the field that it adds to the block's field of the same name; its other fields do not count
_GROWS = {
    "text_delta": ("text",),
    "thinking_delta": ("thinking",),
    "compaction_delta": ("content", "encrypted_content"),
}
_WHOLE_SIGNATURE = 32  # characters; a shorter one may be a piece that begins like the one before it
# types of blocks whose text is in the field of that name
_WITH_TEXT: tuple[DeltaKind, ...] = (
    "text",
    "thinking",
)


@dataclass(eq=False)
class Block:
    """A block that is being built.

    item: its fields as they came. given, id: the id of a call, the provider's and ours. place: its message and its
    index there. late: it came after the end of its message. grown: the fields that grow. input: the arguments.
    """

    item: dict[str, Any]
    given: str = ""
    id: str = ""
    place: object = None
    late: bool = False
    grown: dict[str, Pieces] = field(default_factory=dict)
    input: ArgumentPieces = field(default_factory=ArgumentPieces)
    closed: bool = False

    @property
    def type(self) -> str:
        """The provider's name for its type."""
        return text_of(self.item.get("type"))

    @property
    def _text_kind(self) -> DeltaKind | None:
        return next((kind for kind in _WITH_TEXT if kind == self.type), None)

    def begin(self) -> Iterator[NewText]:
        """Return the text that its start contains."""
        if (kind := self._text_kind) and (text := text_of(self.item.get(kind))):
            yield kind, text

    def take(self, delta: dict[str, Any]) -> NewText | None:
        """The next delta, of any type; returns what it adds to the text."""
        kind = text_of(delta.get("type"))
        if kind == "input_json_delta":
            piece = self.input.add(text_of(delta.get("partial_json")))
            return ("tool_input", piece) if piece and self.type == "tool_use" else None
        if kind == "citations_delta":
            self.item["citations"] = [*(self.item.get("citations") or []), delta.get("citation")]
        elif kind == "signature_delta":
            self._sign(text_of(delta.get("signature")))
        else:
            return self._grow(kind, delta)
        return None

    def _grow(self, kind: str, delta: dict[str, Any]) -> NewText | None:
        new: NewText | None = None
        for name in _GROWS.get(kind, [name for name in delta if name != "type"]):
            value = delta.get(name)
            if isinstance(value, str):
                if name not in self.grown:
                    self.grown[name] = Pieces(text_of(self.item.get(name)))
                piece = self.grown[name].add(value)
                if piece and (own := self._text_kind) and own == name:
                    new = own, piece
            elif value is not None:
                self.item[name] = value
        return new

    def _sign(self, piece: str) -> None:
        """The API sends a signature whole; some gateways send it in pieces, or twice."""
        known = text_of(self.item.get("signature"))
        is_whole = len(known) >= _WHOLE_SIGNATURE and piece.startswith(known)
        self.item["signature"] = piece if is_whole else known + piece

    def end(self) -> Iterator[NewText]:
        """Return the text that was held back; there are no more deltas."""
        if self.type == "tool_use" and (held := self.input.end()):
            yield "tool_input", held
        if (kind := self._text_kind) and kind in self.grown and (rest := self.grown[kind].end()):
            yield kind, rest
        self.close()

    def close(self) -> None:
        """Complete the item with the content of its deltas."""
        self.closed = True
        self.item |= {name: pieces.text for name, pieces in self.grown.items()}

    def blocks(self, *, is_cut: bool) -> Iterator[AssistantBlock]:
        """Complete its input, and return what it contains as our blocks."""
        item = self.item
        if self.type == "text" and text_of(item.get("text")):
            yield Text(text=item["text"])
        elif self.type == "thinking" and text_of(item.get("thinking")):
            yield Thinking(text=item["thinking"])
        elif self.type == "tool_use":
            call = tool_call(self.id, text_of(item.get("name")), self.arguments, truncated=is_cut)
            item["input"] = sendable_input(call)
            yield call
        elif self.input.text:  # a hosted tool's
            item["input"] = parse_arguments(self.input.text) or item.get("input") or {}

    @property
    def arguments(self) -> str:
        """The arguments of a call, from its deltas, or from its start where no delta has brought any."""
        whole = self.item.get("input")
        if self.input.text or not whole:
            return self.input.text
        return whole if isinstance(whole, str) else json.dumps(whole, ensure_ascii=False)

    def complete(self, whole: Block) -> None:
        """Take the same block of a whole message, whose arguments are used if those of the deltas are not an object."""
        if self.type == "tool_use" and (not self.arguments or parse_arguments(self.arguments) is None):
            self.input.complete(whole.arguments)

    def is_begun_again_by(self, other: Block) -> bool:
        """Return whether the other block is only the start of this call, sent again."""
        if self.closed or not self.type == other.type == "tool_use" or self.given != other.given:
            return False
        return bool(self.given) or (not self.input.text and self.item.get("name") == other.item.get("name"))

    def is_same_as(self, other: Block) -> bool:
        """Return whether both have the same content."""
        if self.type != other.type:
            return False
        if self.type == "tool_use":
            return self.item.get("name") == other.item.get("name") and (
                _parsed(self.arguments) == _parsed(other.arguments)
            )
        if kind := self._text_kind:
            return text_of(self.item.get(kind)) == text_of(other.item.get(kind))
        return self.item == other.item

    def is_repeated_by(self, other: Block) -> bool:
        """Return whether the other block repeats this one. An id (or a place, without ids) is used for one call."""
        if not self.is_same_as(other):
            return False
        if other.late:
            return True
        if self.type == "tool_use":
            return self.given == other.given and (bool(self.given) or self.place == other.place)
        return self.place == other.place


def _parsed(arguments: str) -> object:
    parsed = parse_arguments(arguments)
    return arguments if parsed is None else parsed
