"""The Responses format of OpenAI: a turn from the events of its stream. Source: the streaming events
reference.

Output items are kept as they came, whatever their type: they go back to the provider with the next request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agent_runtime.messages import (
    AssistantBlock,
    AssistantMessage,
    Native,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from agent_runtime.native import clean_json
from agent_runtime.provider import Delta, ModelCall, StopReason, Turn
from agent_runtime.providers.faults import cut, fault
from agent_runtime.providers.pieces import (
    CUT_STOPS,
    Ids,
    Pieces,
    count_of,
    counted,
    objects,
    text_of,
    tool_call,
)

Kind = Literal["text", "thinking", "tool_input"]

# what a delta event adds to, and which part of the item that is
_DELTAS: dict[str, tuple[Kind, str]] = {
    "response.output_text.delta": ("text", "content"),
    "response.reasoning_text.delta": ("thinking", "content"),
    "response.reasoning_summary_text.delta": ("thinking", "summary"),
    "response.function_call_arguments.delta": ("tool_input", "arguments"),
    "response.custom_tool_call_input.delta": ("tool_input", "input"),
    "response.refusal.delta": ("text", "refusal"),
}
_INPUT = {"function_call": "arguments", "custom_tool_call": "input"}
_ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


@dataclass
class _Item:
    """An output item that is being built: as it opened, or as it closed, and what came in between."""

    item: dict[str, Any]
    call_id: str = ""
    parts: dict[tuple[Kind, str, int], Pieces] = field(default_factory=dict)
    done: bool = False

    def part(self, kind: Kind, where: str, index: int) -> Pieces:
        return self.parts.setdefault((kind, where, index), Pieces())

    def as_cut(self) -> dict[str, Any]:
        """The item with what has come of it, when it was never closed."""
        item = dict(self.item)
        if key := _INPUT.get(text_of(item.get("type"))):
            item[key] = text_of(item.get(key)) or self.part("tool_input", key, 0).text
            return item
        for (kind, where, _), pieces in self.parts.items():
            if where == "refusal":
                continue
            name = {"text": "output_text", "thinking": "reasoning_text"}.get(kind, "")
            part = {"type": "summary_text" if where == "summary" else name, "text": pieces.text}
            item[where] = [*(item.get(where) or []), part]
        return item


class ResponsesDecoder:
    """Builds a turn from the events of one stream."""

    def __init__(self, model: str, call: ModelCall) -> None:
        self._model = model
        self._ids = Ids(call.messages)
        self._items: dict[Any, _Item] = {}
        self._response: dict[str, Any] = {}
        self._end = ""
        self.complete = False

    def feed(self, chunk: dict[str, Any]) -> Sequence[Delta]:
        """Take the next event."""
        kind = chunk.get("type")
        if not isinstance(kind, str):
            raise fault(chunk) if chunk.get("error") else cut("the stream holds an event of no known format")
        if kind == "error":
            raise fault(chunk)
        if kind in _DELTAS:
            return list(self._delta(kind, chunk))
        if kind == "response.output_item.added":
            self._add(chunk)
        elif kind == "response.output_item.done":
            return list(self._close(self._add(chunk)))
        elif kind in _ENDS:
            return list(self._finish(kind, chunk))
        return ()

    def _add(self, chunk: dict[str, Any]) -> _Item:
        item = clean_json(chunk["item"]) if isinstance(chunk.get("item"), dict) else {}
        known = self._find(chunk, item.get("id"))
        if known is None:
            known = self._items[chunk.get("output_index", ("new", len(self._items)))] = _Item(item)
        known.item = item
        if item.get("type") in _INPUT and not known.call_id:
            known.call_id = self._ids.take(item.get("call_id"))
        return known

    def _find(self, chunk: dict[str, Any], id: object) -> _Item | None:
        """The item that an event is about, by its place, or by its id where the place is left out."""
        if chunk.get("output_index") is not None:
            return self._items.get(chunk["output_index"])
        return next((item for item in self._items.values() if id and item.item.get("id") == id), None)

    def _delta(self, event: str, chunk: dict[str, Any]) -> Iterator[Delta]:
        item = self._find(chunk, chunk.get("item_id"))
        if item is None:
            raise cut("the stream adds to an item that it has not begun")
        kind, where = _DELTAS[event]
        index = chunk.get("summary_index" if where == "summary" else "content_index")
        shown = item.part(kind, where, index if isinstance(index, int) else 0).add(
            text_of(chunk.get("delta"))
        )
        if shown and where != "refusal":
            yield Delta(kind, shown, item.call_id)

    def _close(self, item: _Item) -> Iterator[Delta]:
        """The item is whole: show what of it no delta brought."""
        item.done = True
        for kind, where, index, text in _texts(item.item):
            if rest := item.part(kind, where, index).complete(text):
                yield Delta(kind, rest, item.call_id)

    def _finish(self, kind: str, chunk: dict[str, Any]) -> Iterator[Delta]:
        response = chunk.get("response")
        self._response = response if isinstance(response, dict) else {}
        if kind == "response.failed":
            raise fault(self._response, fallback="the provider failed to answer")
        if kind == "response.cancelled":
            raise cut("the provider cancelled its answer")
        self._end = kind
        self.complete = True
        known = {text_of(item.item.get("id")) for item in self._items.values()} - {""}
        counted = sum(1 for item in self._items.values() if item.done)
        for index, item in enumerate(objects(self._response.get("output"))):
            is_known = item.get("id") in known if item.get("id") else index < counted
            if not is_known:
                yield from self._close(self._add({"item": item, "output_index": ("late", index)}))

    def finish(self) -> Turn:
        """The turn. Raises ProviderError when the stream ended before its end."""
        if not self.complete:
            raise cut("the provider's stream ended in the middle of an answer")
        details = self._response.get("incomplete_details")
        reason = text_of(details.get("reason")) if isinstance(details, dict) else ""
        stop = _stop(self._end, reason)
        whole = {text_of(item.get("id")): item for item in objects(self._response.get("output"))}
        native: list[dict[str, Any]] = []
        blocks: list[AssistantBlock] = []
        refusals: list[str] = []
        kept = list(self._items.values())
        for item in kept:
            raw = item.item if item.done else whole.get(text_of(item.item.get("id"))) or item.as_cut()
            if item.call_id and raw.get("call_id") != item.call_id:
                raw = raw | {"call_id": item.call_id}
            native.append(clean_json(raw))
            is_cut = stop in CUT_STOPS and (item is kept[-1] or not item.done)
            blocks += _ours(native[-1], is_cut)
            refusals += [
                text_of(part.get("refusal")) for part in objects(raw.get("content")) if "refusal" in part
            ]
        if refusals and stop == "end_turn":
            stop = "refusal"
        if stop == "end_turn" and any(isinstance(block, ToolCall) for block in blocks):
            stop = "tool_calls"
        form = Native(format="openai-responses", model=self._model, items=tuple(native)) if native else None
        message = AssistantMessage(blocks=tuple(blocks), native=form)
        by = text_of(self._response.get("model"))
        return Turn(message, stop, _usage(self._response.get("usage")), by, "".join(refusals))


def _stop(end: str, reason: str) -> StopReason:
    if end != "response.incomplete":
        return "end_turn"
    return "refusal" if reason == "content_filter" else "max_tokens" if "max" in reason else "end_turn"


def _texts(item: dict[str, Any]) -> Iterator[tuple[Kind, str, int, str]]:
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


def _ours(item: dict[str, Any], is_cut: bool) -> Iterator[AssistantBlock]:
    """What we read in an item."""
    for kind, where, _, text in _texts(item):
        if kind == "tool_input":
            free = where == "input"
            yield tool_call(item["call_id"], text_of(item.get("name")), text, freeform=free, truncated=is_cut)
        elif text:
            yield Text(text=text) if kind == "text" else Thinking(text=text)


def _usage(usage: object) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    read, written = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    details = read if isinstance(read, dict) else {}
    made = written if isinstance(written, dict) else {}
    return counted(
        input_tokens=count_of(usage.get("input_tokens")),
        output_tokens=count_of(usage.get("output_tokens")),
        cached_input_tokens=count_of(details.get("cached_tokens")),
        cache_write_tokens=count_of(details.get("cache_write_tokens")),
        reasoning_tokens=count_of(made.get("reasoning_tokens")),
    )
