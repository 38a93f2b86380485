"""The Responses format of OpenAI: a turn from the events of its stream. Source: the streaming events
reference.

Output items are kept as they came, whatever their type: they go back to the provider with the next request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from agent_runtime.agent.model import Delta, DeltaKind, ModelCall, StopReason, Turn
from agent_runtime.conversation.provider_items import clean_json
from agent_runtime.protocol.messages import (
    AssistantBlock,
    AssistantMessage,
    Native,
    ToolCall,
    Usage,
)
from agent_runtime.providers.errors import cut, map_error
from agent_runtime.providers.openai_responses.items import Item
from agent_runtime.providers.wire_parts import (
    CUT_STOPS,
    Ids,
    count_of,
    counted,
    object_of,
    objects,
    text_of,
)

# what a delta event adds to, and which part of the item that is
_DELTAS: dict[str, tuple[DeltaKind, str]] = {
    "response.output_text.delta": ("text", "content"),
    "response.reasoning_text.delta": ("thinking", "content"),
    "response.reasoning_summary_text.delta": ("thinking", "summary"),
    "response.function_call_arguments.delta": ("tool_input", "arguments"),
    "response.custom_tool_call_input.delta": ("tool_input", "input"),
    "response.refusal.delta": ("text", "refusal"),
}
_ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


class ResponsesDecoder:
    """Builds a turn from the events of one stream."""

    def __init__(self, model: str, call: ModelCall) -> None:
        self._model = model
        self._ids = Ids(call.messages)
        self._items: list[Item] = []
        self._by_place: dict[Any, Item] = {}
        self._response: dict[str, Any] = {}
        self._end = ""
        self.complete = False

    def feed(self, chunk: dict[str, Any]) -> Sequence[Delta]:
        """Take the next event."""
        kind = chunk.get("type")
        if chunk.get("object") == "response":  # whole, in the place of a stream
            return list(self._finish(f"response.{chunk.get('status') or 'completed'}", {"response": chunk}))
        if not isinstance(kind, str):
            raise (
                map_error(chunk)
                if chunk.get("error")
                else cut("the stream holds an event of no known format")
            )
        if kind == "error":
            raise map_error(chunk)
        if kind in _DELTAS:
            return list(self._delta(kind, chunk))
        if kind == "response.output_item.added":
            self._add(chunk)
        elif kind == "response.output_item.done":
            return list(self._close(chunk))
        elif kind in _ENDS:
            return list(self._finish(kind, chunk))
        elif kind == "response.created":
            self.complete = False  # a second response in the stream belongs to the same turn
        return ()

    def _add(self, chunk: dict[str, Any]) -> Item:
        item = Item({})
        self._items.append(item)
        self._by_place[chunk.get("output_index")] = item
        return self._set(item, chunk)

    def _set(self, item: Item, chunk: dict[str, Any]) -> Item:
        item.set(chunk.get("item"))
        if item.is_call and not item.call_id:
            item.call_id = self._ids.take(item.item.get("call_id"))
        return item

    def _close(self, chunk: dict[str, Any]) -> Iterator[Delta]:
        """The item is whole; some providers never said that it began."""
        known = self._find(chunk, object_of(chunk.get("item")).get("id"))
        item = self._add(chunk) if known is None or known.done else self._set(known, chunk)
        for kind, rest in item.close():
            yield Delta(kind, rest, item.call_id)

    def _find(self, chunk: dict[str, Any], id: object) -> Item | None:
        """The item that an event is about, by its place, or by its id where the place is left out."""
        if chunk.get("output_index") is not None:
            return self._by_place.get(chunk["output_index"])
        return next((item for item in self._items if id and item.id == id), None)

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

    def _finish(self, kind: str, chunk: dict[str, Any]) -> Iterator[Delta]:
        self._response = object_of(chunk.get("response"))
        if kind == "response.failed":
            raise map_error(self._response, fallback="the provider failed to answer")
        if kind == "response.cancelled":
            raise cut("the provider cancelled its answer")
        self._end = kind
        self.complete = True
        known = {item.id for item in self._items} - {""}
        counted = sum(1 for item in self._items if item.done)
        for index, item in enumerate(objects(self._response.get("output"))):
            is_known = item.get("id") in known if item.get("id") else index < counted
            if not is_known:
                yield from self._close({"item": item, "output_index": ("late", index)})

    def finish(self) -> Turn:
        """The turn. Raises ProviderError when the stream ended before its end."""
        if not self.complete:
            raise cut("the provider's stream ended in the middle of an answer")
        reason = text_of(object_of(self._response.get("incomplete_details")).get("reason"))
        stop = _stop(self._end, reason)
        whole = {text_of(item.get("id")): item for item in objects(self._response.get("output"))}
        native: list[dict[str, Any]] = []
        blocks: list[AssistantBlock] = []
        refusals: list[str] = []
        for item in self._items:
            if not item.done and item.id in whole:
                item.set(whole[item.id])
            if (raw := item.native()) is not None:
                native.append(clean_json(raw))
            is_cut = stop in CUT_STOPS and (item is self._items[-1] or not item.done)
            blocks += item.ours(is_cut)
            refusals += item.refusals()
        if refusals and stop == "end_turn":
            stop = "refusal"
        if stop == "end_turn" and any(isinstance(block, ToolCall) for block in blocks):
            stop = "tool_calls"
        form = Native(format="openai-responses", model=self._model, items=tuple(native)) if native else None
        message = AssistantMessage(blocks=tuple(blocks), native=form)
        by = text_of(self._response.get("model"))
        return Turn(message, stop, _usage(object_of(self._response.get("usage"))), by, "".join(refusals))


def _stop(end: str, reason: str) -> StopReason:
    if end != "response.incomplete":
        return "end_turn"
    return "refusal" if reason == "content_filter" else "max_tokens" if "max" in reason else "end_turn"


def _usage(usage: dict[str, Any]) -> Usage | None:
    details, made = (
        object_of(usage.get("input_tokens_details")),
        object_of(usage.get("output_tokens_details")),
    )
    return counted(
        input_tokens=count_of(usage.get("input_tokens")),
        output_tokens=count_of(usage.get("output_tokens")),
        cached_input_tokens=count_of(details.get("cached_tokens")),
        cache_write_tokens=count_of(details.get("cache_write_tokens")),
        reasoning_tokens=count_of(made.get("reasoning_tokens")),
    )
