"""The Responses format of OpenAI: a turn from the events of its stream. Source: the streaming events reference.

Output items of all types are kept as they came: they go back to the provider with the next request.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from agent_runtime.agent.model import Delta, DeltaKind, StopReason, Turn
from agent_runtime.conversation.provider_items import clean_json
from agent_runtime.protocol.messages import (
    AssistantBlock,
    AssistantMessage,
    Native,
    ToolCall,
    Usage,
)
from agent_runtime.providers.call_ids import Ids
from agent_runtime.providers.errors import cut, map_error
from agent_runtime.providers.openai_responses.item_list import ItemList
from agent_runtime.providers.openai_responses.items import Item, whole_item
from agent_runtime.providers.wire_parts import (
    CUT_STOPS,
    count_of,
    counted,
    object_of,
    objects,
    stop_reason,
    text_of,
    whole_input,
)

# what an event adds to: the type of the item, the kind of text, and its field
_TEXTS: dict[str, tuple[str, DeltaKind, str]] = {
    "response.output_text": ("message", "text", "content"),
    "response.reasoning_text": ("reasoning", "thinking", "content"),
    "response.reasoning_summary_text": ("reasoning", "thinking", "summary"),
    "response.function_call_arguments": ("function_call", "tool_input", "arguments"),
    "response.custom_tool_call_input": ("custom_tool_call", "tool_input", "input"),
    "response.refusal": ("message", "text", "refusal"),
}
_ENDS = (
    "response.completed",
    "response.done",
    "response.incomplete",
    "response.failed",
    "response.cancelled",
)
# events that still count after the end of a response: another response, and items that this one did not have
_AFTER_END = frozenset({"response.created", "response.output_item.done", *_ENDS})


class ResponsesDecoder:
    """Builds a turn from the events of one stream."""

    def __init__(self, model: str, known_ids: Collection[str]) -> None:
        self._model = model
        self._ids = Ids(known_ids)
        self._items = ItemList()
        self._sequence: dict[int, dict[str, Any]] = {}
        self._response: dict[str, Any] = {}
        self._response_id: object = None
        self._stop: StopReason = "end_turn"
        self.complete = False

    def feed(self, chunk: dict[str, Any]) -> Sequence[Delta]:
        """Take the next event. Raises ProviderError for an error, and for what is not an event of this format."""
        kind = chunk.get("type")
        if chunk.get("object") == "response":  # a whole response, in the place of a stream or in it
            return () if chunk.get("status") in ("queued", "in_progress") else list(self._finish(chunk))
        if not isinstance(kind, str):
            raise (
                map_error(chunk) if chunk.get("error") else cut("the stream contains an event without a type")
            )
        if kind == "error":
            raise map_error(chunk)
        if self._is_repeated(chunk) or (self.complete and kind not in _AFTER_END):
            return ()
        text, _, step = kind.rpartition(".")
        if text in _TEXTS and step in ("delta", "done"):
            return list(self._text(text, chunk, is_whole=step == "done"))
        if kind == "response.output_item.added":
            self._open(chunk)
        elif kind == "response.output_item.done":
            return list(self._close(chunk))
        elif kind in _ENDS:
            response = object_of(chunk.get("response"))
            return list(self._finish({"status": kind.removeprefix("response.")} | response))
        elif kind == "response.created":
            self._begin_response(object_of(chunk.get("response")).get("id"))
        return ()

    def _is_repeated(self, chunk: dict[str, Any]) -> bool:
        """Return whether the same event was sent before. Gateways that do not count events number all of them 0."""
        number = chunk.get("sequence_number")
        if not isinstance(number, int) or number < 1:
            return False
        return self._sequence.setdefault(number, chunk) is not chunk and self._sequence[number] == chunk

    def _begin_response(self, id: object) -> None:
        """A second response in the stream belongs to the same turn, unless it is the first one, sent again."""
        if self.complete and (id is None or id != self._response_id):
            self._items.begin_response()
            self._sequence = {}
            self.complete = False
        self._response_id = id

    def _open(self, chunk: dict[str, Any]) -> None:
        opening, place = whole_item(chunk.get("item")), chunk.get("output_index")
        known = self._items.find(opening, place, closes=False)
        if known is None:
            known = self._items.add(opening, place)
        elif not known.done:
            known.set(opening.item)
        self._name(known)

    def _name(self, item: Item) -> None:
        """Give a call its id, the first one that the provider has for it."""
        if item.is_call and not item.call_id:
            item.call_id = self._ids.take(item.given)

    def _close(self, chunk: dict[str, Any]) -> Iterator[Delta]:
        """An item is complete; some providers never send its beginning."""
        whole, place = whole_item(chunk.get("item")), chunk.get("output_index")
        known = self._items.find(whole, place, closes=True)
        if known is None and self.complete:
            known = self._items.equal(whole)
        yield from self._complete(known, whole, place)

    def _complete(self, known: Item | None, whole: Item, place: object) -> Iterator[Delta]:
        """An item has been sent whole; `known` is the same one as earlier events have it. A closed one is kept."""
        if known is None:
            known = self._items.add(whole, place)
        elif known.done and known.content == whole.content:
            known.complete(whole.item)
            return
        elif known.done and not known.may_become(whole):
            return
        known.set(whole.item)
        self._name(known)
        for kind, rest in known.close():
            yield Delta(kind, rest, known.call_id)

    def _text(self, event: str, chunk: dict[str, Any], *, is_whole: bool) -> Iterator[Delta]:
        """A piece of an item's text, or the whole of it."""
        type, kind, where = _TEXTS[event]
        place = chunk.get("output_index")
        item = self._items.find_for_delta(type, chunk.get("item_id"), place)
        if item is None:  # some providers do not say that an item begins
            id = chunk.get("item_id")
            item = self._items.add(whole_item({"type": type} | ({"id": id} if id else {})), place)
            self._name(item)
        if item.done:
            return
        index = chunk.get("summary_index" if where == "summary" else "content_index")
        part = item.part(kind, where, index if isinstance(index, int) else 0)
        if not is_whole:
            new = part.add(text_of(chunk.get("delta")))
        else:
            whole = text_of(chunk.get("text")) or text_of(chunk.get(where))
            new = part.complete(whole) if whole else ""
        if new and where != "refusal":
            yield Delta(kind, new, item.call_id)

    def _finish(self, response: dict[str, Any]) -> Iterator[Delta]:
        """The response is over: its items that no event has brought are added."""
        self._response = response
        status = text_of(response.get("status")) or "completed"
        if status == "failed" or (response.get("error") and status != "completed"):
            raise map_error(response, fallback="the provider failed to answer")
        self._stop = _stop(status, text_of(object_of(response.get("incomplete_details")).get("reason")))
        self.complete = True
        for index, (whole, known) in enumerate(self._items.match(objects(response.get("output")))):
            yield from self._complete(known, whole, ("late", index))

    def finish(self) -> Turn:
        """The turn. Raises ProviderError when the stream ended before its end."""
        if not self.complete:
            raise cut("the provider's stream ended in the middle of an answer")
        stop = self._stop
        items = list(self._items)
        native: list[dict[str, Any]] = []
        blocks: list[AssistantBlock] = []
        refusals: list[str] = []
        for item in items:
            if item.is_blank and any(other.done for other in items):
                continue  # it was only begun, under an id that no later event has
            if item.is_call and not item.name:
                raise cut("the provider sent the arguments of a call without its name")
            if (raw := item.native()) is not None:
                native.append(clean_json(raw))
            is_cut = stop in CUT_STOPS and (item is items[-1] or not item.done)
            blocks += item.blocks(is_cut=is_cut)
            refusals += item.refusals()
        if refusals and stop == "end_turn":
            stop = "refusal"
        if stop == "end_turn" and any(isinstance(block, ToolCall) for block in blocks):
            stop = "tool_calls"
        form = Native(format="openai-responses", model=self._model, items=tuple(native)) if native else None
        message = AssistantMessage(blocks=tuple(blocks), native=form)
        by = text_of(self._response.get("model"))
        return Turn(message, stop, _usage(object_of(self._response.get("usage"))), by, "".join(refusals))


def _stop(status: str, reason: str) -> StopReason:
    """Why a response is over. Raises ProviderError for one that was broken off."""
    if status in ("completed", "done"):
        return "end_turn"
    stop = stop_reason(reason or "max_output_tokens") if status == "incomplete" else None
    if stop is None:
        raise cut(f"the provider broke off its answer: {reason or status}")
    return stop


def _usage(usage: dict[str, Any]) -> Usage | None:
    details = object_of(usage.get("input_tokens_details"))
    made = object_of(usage.get("output_tokens_details"))
    cached, written = count_of(details.get("cached_tokens")), count_of(details.get("cache_write_tokens"))
    return counted(
        input_tokens=whole_input(count_of(usage.get("input_tokens")), cached, written),
        output_tokens=count_of(usage.get("output_tokens")),
        cached_input_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=count_of(made.get("reasoning_tokens")),
    )
