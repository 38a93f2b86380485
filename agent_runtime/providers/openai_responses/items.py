"""The Responses format of OpenAI: an output item from its opening, its deltas and its close, kept as it came."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from agent_runtime.agent.model import DeltaKind
from agent_runtime.conversation.provider_items import clean_json
from agent_runtime.protocol.messages import AssistantBlock, Text, Thinking
from agent_runtime.providers.wire_parts import Pieces, object_of, objects, text_of, tool_call

_INPUT = {"function_call": "arguments", "custom_tool_call": "input"}
_PARTS = {("text", "content"): "output_text", ("thinking", "content"): "reasoning_text"}


@dataclass
class Item:
    """An output item that is being built: as it opened, or as it closed, and what came in between."""

    item: dict[str, Any]
    call_id: str = ""
    parts: dict[tuple[DeltaKind, str, int], Pieces] = field(default_factory=dict)
    done: bool = False

    @property
    def is_call(self) -> bool:
        """Is it a call that we answer?"""
        return self.item.get("type") in _INPUT

    @property
    def id(self) -> str:
        """The provider's id of the item."""
        return text_of(self.item.get("id"))

    def set(self, item: object) -> None:
        """The item as an event has it."""
        self.item = clean_json(object_of(item))
        key = _INPUT.get(text_of(self.item.get("type")), "")
        if isinstance(self.item.get(key), dict):  # some give the object itself
            self.item[key] = json.dumps(self.item[key], ensure_ascii=False)

    def part(self, kind: DeltaKind, where: str, index: int) -> Pieces:
        """One of its texts."""
        return self.parts.setdefault((kind, where, index), Pieces())

    def close(self) -> Iterator[tuple[DeltaKind, str]]:
        """The item is whole: what of it no delta brought. What only deltas brought stands."""
        self.done = True
        for kind, where, index, text in _texts(self.item):
            if text and (rest := self.part(kind, where, index).complete(text)):
                yield kind, rest

    def filled(self) -> dict[str, Any]:
        """The item with what has come of it where it has no text itself: it was never closed, or closed empty."""
        item = dict(self.item)
        if key := _INPUT.get(text_of(item.get("type"))):
            item[key] = text_of(item.get(key)) or self.part("tool_input", key, 0).text
            return item
        for (kind, where, _), pieces in self.parts.items():
            if not self.item.get(where) and where != "refusal":
                part = {"type": _PARTS.get((kind, where), "summary_text"), "text": pieces.text}
                item[where] = [*(item.get(where) or []), part]
        return item

    def native(self) -> dict[str, Any] | None:
        """What goes back. A thought that never came to its seal does not: the provider would look for it in vain."""
        if self.item.get("type") != "reasoning":
            item = self.filled()
        elif self.done or self.item.get("encrypted_content"):
            item = self.item
        else:
            return None
        return item | {"call_id": self.call_id} if self.call_id else item

    def ours(self, is_cut: bool) -> Iterator[AssistantBlock]:
        """What we read in it."""
        item = clean_json(self.filled())
        for kind, where, _, text in _texts(item):
            if kind == "tool_input":
                free, name = where == "input", text_of(item.get("name"))
                yield tool_call(self.call_id, name, text, freeform=free, truncated=is_cut)
            elif text:
                yield Text(text=text) if kind == "text" else Thinking(text=text)

    def refusals(self) -> list[str]:
        """Where the model says that it will not."""
        return [text_of(part["refusal"]) for part in objects(self.item.get("content")) if "refusal" in part]


def _texts(item: dict[str, Any]) -> Iterator[tuple[DeltaKind, str, int, str]]:
    """Every text in an item, and where it is."""
    kind = item.get("type")
    if kind in _INPUT:
        yield "tool_input", _INPUT[kind], 0, text_of(item.get(_INPUT[kind]))
    elif kind == "message":
        for index, part in enumerate(objects(item.get("content"))):
            if part.get("type") == "output_text":
                yield "text", "content", index, text_of(part.get("text"))
    elif kind == "reasoning":
        for where in ("summary", "content"):
            for index, part in enumerate(objects(item.get(where))):
                yield "thinking", where, index, text_of(part.get("text"))
