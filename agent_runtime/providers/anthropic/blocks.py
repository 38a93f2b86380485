"""The Messages format of Anthropic: a content block from its start and its deltas, kept as it came."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from agent_runtime.agent.model import DeltaKind
from agent_runtime.protocol.messages import AssistantBlock, Text, Thinking, ToolCall, parse_arguments
from agent_runtime.providers.wire_parts import Pieces, sendable_input, text_of, tool_call

DeltaMerger = tuple[DeltaKind, str]

# what a delta of a known type adds to the block's field of that name; all else in it is no part of the block
_GROWS = {
    "text_delta": ("text",),
    "thinking_delta": ("thinking",),
    "compaction_delta": ("content", "encrypted_content"),
}
_WHOLE_SIGNATURE = 32  # characters; less may be a piece that happens to begin like the one before it
_SHOWN: tuple[DeltaKind, ...] = (
    "text",
    "thinking",
)  # blocks with a field of that name, which holds their text


@dataclass
class Block:
    """A block that is being built: its own fields, those that grow, and its input as text."""

    item: dict[str, Any]
    id: str = ""
    grown: dict[str, Pieces] = field(default_factory=dict)
    input: list[str] = field(default_factory=list)
    closed: bool = False

    @property
    def type(self) -> str:
        """The provider's word for what it is."""
        return text_of(self.item.get("type"))

    @property
    def _kind(self) -> DeltaKind | None:
        return next((kind for kind in _SHOWN if kind == self.type), None)

    def begin(self) -> Iterator[DeltaMerger]:
        """The text that it begins with."""
        if (kind := self._kind) and (text := text_of(self.item.get(kind))):
            yield kind, text

    def take(self, delta: dict[str, Any]) -> DeltaMerger | None:
        """The next delta, of whatever type; what of it is to be shown."""
        kind = text_of(delta.get("type"))
        if kind == "input_json_delta":
            piece = text_of(delta.get("partial_json"))
            self.input.append(piece)
            return ("tool_input", piece) if piece and self.type == "tool_use" else None
        if kind == "citations_delta":
            self.item["citations"] = [*(self.item.get("citations") or []), delta.get("citation")]
        elif kind == "signature_delta":
            self._sign(text_of(delta.get("signature")))
        else:
            return self._grow(kind, delta)
        return None

    def _grow(self, kind: str, delta: dict[str, Any]) -> DeltaMerger | None:
        shown: DeltaMerger | None = None
        for name in _GROWS.get(kind, [name for name in delta if name != "type"]):
            value = delta.get(name)
            if isinstance(value, str):
                if name not in self.grown:
                    self.grown[name] = Pieces(text_of(self.item.get(name)))
                piece = self.grown[name].add(value)
                if piece and (own := self._kind) and own == name:
                    shown = own, piece
            elif value is not None:
                self.item[name] = value
        return shown

    def _sign(self, piece: str) -> None:
        """The API sends a signature whole; some who pass it on send it in pieces, or once more."""
        known = text_of(self.item.get("signature"))
        is_whole = len(known) >= _WHOLE_SIGNATURE and piece.startswith(known)
        self.item["signature"] = piece if is_whole else known + piece

    def end(self) -> Iterator[DeltaMerger]:
        """No more deltas: what was held back of its text."""
        if (kind := self._kind) and kind in self.grown and (rest := self.grown[kind].end()):
            yield kind, rest
        self.close()

    def close(self) -> None:
        """The item is what has come of it."""
        self.closed = True
        self.item |= {name: pieces.text for name, pieces in self.grown.items()}

    def ours(self, is_cut: bool) -> Iterator[AssistantBlock]:
        """What we read in it; completes its input on the way."""
        item = self.item
        if self.type == "text" and text_of(item.get("text")):
            yield Text(text=item["text"])
        elif self.type == "thinking" and text_of(item.get("thinking")):
            yield Thinking(text=item["thinking"])
        elif self.type == "tool_use":
            call = self._call(is_cut)
            item["input"] = sendable_input(call)
            yield call
        elif self.input:  # a hosted tool's
            item["input"] = parse_arguments("".join(self.input)) or item.get("input") or {}

    def _call(self, is_cut: bool) -> ToolCall:
        arguments = "".join(self.input)
        if not arguments and (whole := self.item.get("input")):
            arguments = whole if isinstance(whole, str) else json.dumps(whole, ensure_ascii=False)
        return tool_call(self.id, text_of(self.item.get("name")), arguments, truncated=is_cut)
