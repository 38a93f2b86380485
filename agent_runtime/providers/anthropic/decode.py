"""The Messages format of Anthropic: a turn from the events of its stream. Source: the streaming reference.

Blocks of all types are kept as they came: they go back to the provider with the next request.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from agent_runtime.agent.model import Delta, Turn
from agent_runtime.conversation.provider_items import clean_json
from agent_runtime.protocol.messages import (
    AssistantBlock,
    AssistantMessage,
    Native,
    ToolCall,
    Usage,
)
from agent_runtime.providers.anthropic.blocks import Block
from agent_runtime.providers.call_ids import Ids
from agent_runtime.providers.errors import cut, map_error
from agent_runtime.providers.wire_parts import (
    CUT_STOPS,
    count_of,
    counted,
    object_of,
    objects,
    stop_reason,
    text_of,
)

# blocks that are not calls, of the provider or of ours
_OWN_TYPES = frozenset({"text", "thinking", "redacted_thinking"})


class AnthropicDecoder:
    """Builds a turn from the events of one stream.

    Two messages in one stream (gateways that call tools themselves do that) are one turn: blocks of both, and the stop
    reason and usage of the last, as in the SDK. Each message's prompt contains the one before it, so a sum would count
    it twice and overstate how full the context is. Whatever repeats a message after its end is ignored.
    """

    def __init__(self, model: str, known_ids: Collection[str]) -> None:
        self._model = model
        self._ids = Ids(known_ids, fits=r"[a-zA-Z0-9_-]+")
        self._blocks: list[Block] = []
        self._open: dict[Any, Block] = {}
        self._usage: dict[str, Any] = {}
        self._message_id: object = None
        self._answered_by = ""
        self._stop = ""
        self._refusal = ""
        self._may_repeat = False  # a message has ended, and no other one has begun under an id of its own
        self.complete = False

    def feed(self, chunk: dict[str, Any]) -> Sequence[Delta]:
        """Take the next event. Raises ProviderError for an error, and for what is not an event of this format."""
        kind = chunk.get("type")
        if kind == "content_block_delta":
            return list(self._delta(chunk))
        if kind == "content_block_start":
            return list(self._start_block(chunk))
        if kind == "content_block_stop":
            return list(self._stop_block(chunk))
        if kind == "message_start":
            self._start_message(object_of(chunk.get("message")))
        elif kind == "message_delta":
            self._end_message(chunk)
        elif kind == "message_stop":
            self.complete = self._may_repeat = True
        elif kind == "message":
            return list(self._whole(chunk))
        elif kind == "error":
            raise map_error(chunk)
        elif not isinstance(kind, str):
            raise (
                map_error(chunk) if chunk.get("error") else cut("the stream contains an event without a type")
            )
        return ()

    def _whole(self, message: dict[str, Any]) -> Iterator[Delta]:
        """A whole message, instead of a stream or in addition to one: then only what the events lacked is taken."""
        known = list(self._blocks)
        types = {block.type for block in known}
        if not known:
            self._start_message(message)
        for index, item in enumerate(objects(message.get("content"))):
            whole = Block(item, given=text_of(item.get("id")))
            if match := _match(known, whole):
                known.remove(match)
                match.complete(whole)
            elif whole.type not in types or whole.type == "tool_use":
                yield from self._start_block({"index": ("whole", index), "content_block": item})
                yield from self._stop_block({"index": ("whole", index)})
        self._end_message({"delta": message, "usage": message.get("usage")})
        self.complete = self._may_repeat = True

    def _start_message(self, message: dict[str, Any]) -> None:
        if message.get("id") == self._message_id is not None:
            return  # some proxies repeat it
        self._may_repeat = self._may_repeat and message.get("id") is None
        self._message_id = message.get("id")
        self._open = {}
        self._usage = {}
        self._stop = ""
        self.complete = False
        self._answered_by = text_of(message.get("model")) or self._answered_by
        self._count(object_of(message.get("usage")))

    def _end_message(self, chunk: dict[str, Any]) -> None:
        delta = object_of(chunk.get("delta"))
        self._stop = text_of(delta.get("stop_reason")) or self._stop
        if self._stop and stop_reason(self._stop) is None:
            words = f"the provider broke off its answer with stop_reason {self._stop!r}"
            raise map_error({"code": self._stop.lower(), "message": words})
        details = object_of(delta.get("stop_details"))
        self._refusal = text_of(details.get("explanation")) or text_of(details.get("category"))
        self._count(object_of(chunk.get("usage")))
        if self._stop:
            self.complete = self._may_repeat = all(block.closed for block in self._open.values())

    def _count(self, usage: dict[str, Any]) -> None:
        # later counts are cumulative; a zero or null where there was a number is an omission
        self._usage |= {key: value for key, value in usage.items() if value or key not in self._usage}

    def _start_block(self, chunk: dict[str, Any]) -> Iterator[Delta]:
        item = clean_json(dict(object_of(chunk.get("content_block"))))
        index = chunk.get("index")
        place = (self._message_id, index)
        block = Block(item, text_of(item.get("id")), place=place, late=self._may_repeat)
        last = self._open.get(index)
        if last and last.is_begun_again_by(block):
            return
        self._blocks.append(block)
        self._open[index] = block
        if not block.late:
            self.complete = False
        if block.type == "tool_use":
            block.id = block.item["id"] = self._ids.take(block.given)
        if not block.late:
            for new in block.begin():
                yield Delta(*new)

    def _delta(self, chunk: dict[str, Any]) -> Iterator[Delta]:
        block = self._open.get(chunk.get("index"))
        if block is None:
            raise cut("the stream adds to a block that it has not begun")
        if block.closed:
            return
        new = block.take(object_of(chunk.get("delta")))
        if new and not block.late:
            yield Delta(*new, block.id)

    def _stop_block(self, chunk: dict[str, Any]) -> Iterator[Delta]:
        block = self._open.get(chunk.get("index"))
        if block is None or block.closed:
            return
        for new in block.end():
            if not block.late:
                yield Delta(*new, block.id)

    def finish(self) -> Turn:
        """The turn. Raises ProviderError when the stream ended before its end, or ended with calls that never came."""
        if not self.complete:
            raise cut("the provider's stream ended in the middle of an answer")
        stop = stop_reason(self._stop or "end_turn") or "end_turn"
        kept: list[Block] = []
        blocks: list[AssistantBlock] = []
        for block in self._blocks:
            unfinished = not block.closed
            block.close()
            if any(known.is_repeated_by(block) for known in kept):
                continue
            kept.append(block)
            is_cut = stop in CUT_STOPS and (unfinished or block is self._blocks[-1])
            blocks += block.blocks(is_cut=is_cut)
        has_calls = any(isinstance(block, ToolCall) for block in blocks)
        if not self._stop and not has_calls:
            raise cut("the provider's message ended without a stop_reason")
        if stop == "tool_calls" and not has_calls and all(block.type in _OWN_TYPES for block in kept):
            raise cut("the provider announced tool calls and sent none")
        if stop in ("end_turn", "tool_calls"):
            stop = "tool_calls" if has_calls else "end_turn"
        items = tuple(clean_json(block.item) for block in kept)
        native = Native(format="anthropic", model=self._model, items=items) if items else None
        message = AssistantMessage(blocks=tuple(blocks), native=native)
        usage = _usage(self._usage)
        return Turn(message, stop, usage, self._answered_by, self._refusal, may_be_empty=True)


def _match(known: Sequence[Block], whole: Block) -> Block | None:
    """The block of the stream that a block of a whole message repeats: by its id, its content, or its order."""
    same_type = [block for block in known if block.type == whole.type]
    with_id = [block for block in same_type if whole.given and block.given == whole.given]
    same = [block for block in same_type if block.is_same_as(whole)]
    both = [block for block in with_id if block in same]
    if whole.type != "tool_use":
        same += same_type
    return next(iter([*both, *with_id, *same]), None)


def _usage(usage: dict[str, Any]) -> Usage | None:
    """Anthropic's `input_tokens` exclude those read from or written to the cache; ours include them."""
    cached = count_of(usage.get("cache_read_input_tokens"))
    by_age = object_of(usage.get("cache_creation"))  # ephemeral_5m_input_tokens, ephemeral_1h_input_tokens
    written = count_of(usage.get("cache_creation_input_tokens")) or sum(map(count_of, by_age.values()))
    return counted(
        input_tokens=count_of(usage.get("input_tokens")) + cached + written,
        output_tokens=count_of(usage.get("output_tokens")),
        cached_input_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=count_of(object_of(usage.get("output_tokens_details")).get("thinking_tokens")),
    )
