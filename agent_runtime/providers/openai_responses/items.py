"""The Responses format of OpenAI: an output item from its opening, its deltas and its close, kept as it came."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import field
from typing import Any

from agent_runtime.agent.model import DeltaKind
from agent_runtime.conversation.provider_items import clean_json, has_reasoning
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import AssistantBlock, Text, Thinking, parse_arguments
from agent_runtime.providers.wire_parts import ArgumentPieces, Pieces, object_of, objects, text_of, tool_call

# the types of calls that we answer, and the field of their arguments
CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_PARTS = {("text", "content"): "output_text", ("thinking", "content"): "reasoning_text"}


@dataclass(eq=False)
class Item:
    """An output item that is being built.

    item: as it opened, or as it closed. call_id: our id of a call. place: its `output_index`. texts: its texts, by
    kind, field and number. done: whether it has been closed.
    """

    item: dict[str, Any]
    call_id: str = ""
    place: object = None
    texts: dict[tuple[DeltaKind, str, int], Pieces] = field(default_factory=dict)
    done: bool = False

    @property
    def type(self) -> str:
        """The provider's name for its type."""
        return text_of(self.item.get("type"))

    @property
    def is_call(self) -> bool:
        """Whether it is a call that the runtime answers."""
        return self.type in CALLS

    @property
    def id(self) -> str:
        """The provider's id of the item."""
        return text_of(self.item.get("id"))

    @property
    def given(self) -> str:
        """The provider's id of the call."""
        return text_of(self.item.get("call_id"))

    @property
    def name(self) -> str:
        """The name of the tool that is called."""
        return text_of(self.item.get("name"))

    def set(self, item: dict[str, Any]) -> None:
        """The item as an event has it. What the event leaves out of a call stays as it was."""
        known = {key: self.item[key] for key in ("id", "call_id", "name") if self.item.get(key)}
        self.item = clean_json(item)
        if self.is_call:
            self.item |= {key: value for key, value in known.items() if not self.item.get(key)}

    def complete(self, whole: dict[str, Any]) -> None:
        """Take from another event with the same content what this item lacks, such as its encrypted content."""
        self.item = clean_json(whole) | {key: value for key, value in self.item.items() if value}

    def part(self, kind: DeltaKind, where: str, index: int) -> Pieces:
        """One of its texts."""
        make = ArgumentPieces if where == "arguments" else Pieces
        return self.texts.setdefault((kind, where, index), make())

    def close(self) -> Iterator[tuple[DeltaKind, str]]:
        """Complete the item; returns the text that no delta contained. What only deltas contained is kept."""
        self.done = True
        for kind, where, index, text in _texts(self.item):
            if text and (rest := self.part(kind, where, index).complete(text)):
                yield kind, rest

    def filled(self) -> dict[str, Any]:
        """The item with the text of its deltas where it has none itself: it was never closed, or closed empty."""
        item = dict(self.item)
        if key := CALLS.get(self.type):
            item[key] = text_of(item.get(key)) or self.part("tool_input", key, 0).text
            return item
        for (kind, where, _), pieces in self.texts.items():
            if not self.item.get(where) and where != "refusal":
                part = {"type": _PARTS.get((kind, where), "summary_text"), "text": pieces.text}
                item[where] = [*(item.get(where) or []), part]
        return item

    def native(self) -> dict[str, Any] | None:
        """What goes back to the provider.

        Nothing is stored there. Reasoning without its content, encrypted or not, would be looked up in vain.
        """
        if self.type != "reasoning":
            item = self.filled()
        elif self.item.get("encrypted_content") or (self.done and has_reasoning(self.item)):
            item = self.item
        else:
            return None
        return item | {"call_id": self.call_id} if self.call_id else item

    def blocks(self, *, is_cut: bool) -> Iterator[AssistantBlock]:
        """The item as our blocks."""
        item = clean_json(self.filled())
        is_cut = is_cut or item.get("status") == "incomplete"
        for kind, where, _, text in _texts(item):
            if kind == "tool_input":
                yield tool_call(self.call_id, self.name, text, freeform=where == "input", truncated=is_cut)
            elif text:
                yield Text(text=text) if kind == "text" else Thinking(text=text)

    def refusals(self) -> list[str]:
        """The model's words for why it refuses, if it does."""
        return [text_of(part["refusal"]) for part in objects(self.item.get("content")) if "refusal" in part]

    @property
    def is_blank(self) -> bool:
        """Whether it was opened but has no content."""
        return not self.done and not any(text for *_, text in _texts(self.filled()))

    @property
    def content(self) -> object:
        """What the item says or does, to compare it with others."""
        item = self.filled()
        if key := CALLS.get(self.type):
            return self.name, _parsed(item[key]) if key == "arguments" else item[key]
        texts = [text for *_, text in _texts(item)]
        return texts if self.type in ("message", "reasoning") else item

    def may_become(self, whole: Item) -> bool:
        """Return whether this item, as received so far, may be the beginning of the other."""
        if self.type != whole.type:
            return False
        if key := CALLS.get(self.type):
            said, all_said = self.filled()[key], whole.filled()[key]
            is_same_tool = not self.name or not whole.name or self.name == whole.name
            return is_same_tool and (
                not all_said or all_said.startswith(said) or _parsed(said) == _parsed(all_said)
            )
        said, all_said = ("".join(text for *_, text in _texts(item.filled())) for item in (self, whole))
        return not all_said or all_said.startswith(said)


def whole_item(item: object) -> Item:
    """An item as an event has it. Arguments are always text in it."""
    found = dict(object_of(item))
    key = CALLS.get(text_of(found.get("type")), "")
    if isinstance(found.get(key), dict):  # some providers send the object itself
        found[key] = json.dumps(found[key], ensure_ascii=False)
    return Item(clean_json(found))


def _parsed(arguments: str) -> object:
    parsed = parse_arguments(arguments)
    return arguments if parsed is None else parsed


def _texts(item: dict[str, Any]) -> Iterator[tuple[DeltaKind, str, int, str]]:
    """Every text in an item, and where it is."""
    kind = item.get("type")
    if kind in CALLS:
        yield "tool_input", CALLS[kind], 0, text_of(item.get(CALLS[kind]))
    elif kind == "message":
        for index, part in enumerate(objects(item.get("content"))):
            if part.get("type") == "output_text":
                yield "text", "content", index, text_of(part.get("text"))
    elif kind == "reasoning":
        for where in ("summary", "content"):
            for index, part in enumerate(objects(item.get(where))):
                yield "thinking", where, index, text_of(part.get("text"))
