"""The Messages format of Anthropic: a turn from the events of its stream. Source: the streaming reference.

Blocks are kept as they came, whatever their type: they go back to the provider with the next request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from agent_runtime.agent.model import Delta, ModelCall, StopReason, Turn
from agent_runtime.conversation.provider_items import clean_json
from agent_runtime.protocol.messages import (
    AssistantBlock,
    AssistantMessage,
    Native,
    ToolCall,
    Usage,
)
from agent_runtime.providers.anthropic.blocks import Block
from agent_runtime.providers.errors import cut, map_error
from agent_runtime.providers.wire_parts import (
    CUT_STOPS,
    Ids,
    count_of,
    counted,
    object_of,
    objects,
    text_of,
)

_STOPS: dict[str, StopReason] = {
    "end_turn": "end_turn",
    "stop_sequence": "end_turn",
    "tool_use": "tool_calls",
    "max_tokens": "max_tokens",
    "refusal": "refusal",
    "pause_turn": "pause_turn",
    "compaction": "pause_turn",
    "model_context_window_exceeded": "context_overflow",
}


class AnthropicDecoder:
    """Builds a turn from the events of one stream.

    Two messages in one stream (gateways that call tools themselves do that) are one turn: blocks of both, and the stop
    reason and usage of the last, as in the SDK. Each message's prompt holds the one before it, so a sum would count it
    twice, and would say that the context is fuller than it is.
    """

    def __init__(self, model: str, call: ModelCall) -> None:
        self._model = model
        self._ids = Ids(call.messages, fits=r"[a-zA-Z0-9_-]+")
        self._blocks: list[Block] = []
        self._open: dict[Any, Block] = {}
        self._calls: dict[int, ToolCall] = {}
        self._usage: dict[str, Any] = {}
        self._message_id: object = None
        self._answered_by = ""
        self._stop = ""
        self._refusal = ""
        self.complete = False

    def feed(self, chunk: dict[str, Any]) -> Sequence[Delta]:
        """Take the next event."""
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
            self.complete = True
        elif kind == "message":
            return list(self._whole(chunk))
        elif kind == "error":
            raise map_error(chunk)
        elif not isinstance(kind, str):
            raise cut("the stream holds an event that is none of the Messages format")
        return ()

    def _whole(self, message: dict[str, Any]) -> Iterator[Delta]:
        """The message that a stream would have built, at once."""
        self._start_message(message)
        for index, block in enumerate(objects(message.get("content"))):
            yield from self._start_block({"index": index, "content_block": block})
            yield from self._stop_block({"index": index})
        self._end_message({"delta": message})
        self.complete = True

    def _start_message(self, message: dict[str, Any]) -> None:
        if message.get("id") == self._message_id is not None:
            return  # some proxies repeat it
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
        details = object_of(delta.get("stop_details"))
        self._refusal = text_of(details.get("explanation")) or text_of(details.get("category"))
        self._count(object_of(chunk.get("usage")))
        if self._stop:
            self.complete = not any(not block.closed for block in self._open.values())

    def _count(self, usage: dict[str, Any]) -> None:
        # later counts are cumulative; a zero or null where there was a number is an omission
        self._usage |= {key: value for key, value in usage.items() if value or key not in self._usage}

    def _start_block(self, chunk: dict[str, Any]) -> Iterator[Delta]:
        block = Block(clean_json(dict(object_of(chunk.get("content_block")))))
        self._blocks.append(block)
        self.complete = False
        self._open[chunk.get("index")] = block
        if block.type == "tool_use":
            block.id = block.item["id"] = self._ids.take(block.item.get("id"))
        for shown in block.begin():
            yield Delta(*shown)

    def _delta(self, chunk: dict[str, Any]) -> Iterator[Delta]:
        block = self._open.get(chunk.get("index"))
        if block is None:
            raise cut("the stream adds to a block that it has not begun")
        delta = object_of(chunk.get("delta"))
        if shown := block.take(delta):
            yield Delta(*shown, block.id)

    def _stop_block(self, chunk: dict[str, Any]) -> Iterator[Delta]:
        block = self._open.get(chunk.get("index"))
        if block is None or block.closed:
            return
        for shown in block.end():
            yield Delta(*shown)

    def finish(self) -> Turn:
        """The turn. Raises ProviderError when the stream ended before its end."""
        if not self.complete:
            raise cut("the provider's stream ended in the middle of an answer")
        stop = _STOPS.get(self._stop, "end_turn")
        blocks: list[AssistantBlock] = []
        for block in self._blocks:
            unfinished = not block.closed
            block.close()
            is_cut = stop in CUT_STOPS and (unfinished or block is self._blocks[-1])
            blocks += block.ours(is_cut)
        has_calls = any(isinstance(block, ToolCall) for block in blocks)
        if stop in ("end_turn", "tool_calls"):
            stop = "tool_calls" if has_calls else "end_turn"
        items = tuple(clean_json(block.item) for block in self._blocks)
        native = Native(format="anthropic", model=self._model, items=items) if items else None
        message = AssistantMessage(blocks=tuple(blocks), native=native)
        return Turn(message, stop, _usage(self._usage), self._answered_by, self._refusal)


def _usage(usage: dict[str, Any]) -> Usage | None:
    """`input_tokens` is what was neither read from the cache nor written to it; ours is the whole."""
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
