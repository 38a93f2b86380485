"""The Chat Completions format: a turn from the chunks of its stream, in whichever dialect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from agent_runtime.agent.model import Delta, ModelCall, StopReason, Turn
from agent_runtime.conversation.provider_items import clean_json
from agent_runtime.protocol.messages import (
    AssistantBlock,
    AssistantMessage,
    Native,
    Text,
    Thinking,
    Usage,
)
from agent_runtime.providers.errors import cut, map_error
from agent_runtime.providers.openai_chat.calls import Calls
from agent_runtime.providers.openai_chat.reasoning import (
    add_block,
    add_detail,
    add_part,
    thinking_part,
    thinking_text,
)
from agent_runtime.providers.wire_parts import (
    CUT_STOPS,
    Ids,
    Pieces,
    count_of,
    counted,
    object_of,
    objects,
    text_of,
)

_STOPS: dict[str, StopReason] = {
    "length": "max_tokens",
    "max_tokens": "max_tokens",
    "model_length": "max_tokens",
    "content_filter": "refusal",
    "refusal": "refusal",
    "safety": "refusal",
    "sensitive": "refusal",
    "prohibited_content": "refusal",
    "recitation": "refusal",
    "model_context_window_exceeded": "context_overflow",
}
_FAILURES = (
    *("error", "insufficient_system_resource", "network_error"),
    # Gemini: the model began a call that cannot be read
    *("function_call_filter", "malformed_function_call"),
)
# the names under which providers stream a model's thinking
_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_text")
# what some want back as it came
_RETURNED = ("extra_content", "provider_specific_fields", "reasoning_opaque")


class ChatDecoder:
    """Builds a turn from the chunks of one stream."""

    def __init__(self, model: str, call: ModelCall) -> None:
        self._model = model
        self._calls = Calls(Ids(call.messages))
        self._text = Pieces()
        self._thoughts = Pieces()
        self._thought_field = ""
        self._parts: list[dict[str, Any]] = []  # content that came as parts (Mistral), joined by kind
        self._details: list[dict[str, Any]] = []  # OpenRouter's reasoning_details, to be sent back
        self._signed: list[dict[str, Any]] = []  # LiteLLM's thinking_blocks, likewise
        self._extra: dict[str, Any] = {}
        self._refusal = Pieces()
        self._usage: dict[str, Any] | None = None
        self._answered_by = ""
        self._finish_reason = ""

    @property
    def complete(self) -> bool:
        """Has the provider said why it stopped? Usage may come after that."""
        return bool(self._finish_reason)

    def feed(self, chunk: dict[str, Any]) -> Sequence[Delta]:
        """Take the next chunk."""
        if chunk.get("error") or chunk.get("object") == "error" or _is_complaint(chunk):
            raise map_error(chunk)
        self._answered_by = self._answered_by or text_of(chunk.get("model"))
        self._count(object_of(chunk.get("x_groq")).get("usage"))
        self._count(chunk.get("usage"))
        shown: list[Delta] = []
        for choice in objects(chunk.get("choices")):
            if choice.get("index") in (0, None):
                shown += self._choice(choice)
        return shown

    def _count(self, usage: object) -> None:
        if isinstance(usage, dict) and any(map(count_of, usage.values())):
            self._usage = usage  # counts are cumulative: the last one stands

    def _choice(self, choice: dict[str, Any]) -> Iterator[Delta]:
        self._count(choice.get("usage"))
        # a message beside the deltas repeats them
        delta = choice["delta"] if isinstance(choice.get("delta"), dict) else choice.get("message")
        if isinstance(delta, dict):
            yield from self._delta(delta)
        said = text_of(choice.get("finish_reason"))
        reason = said.lower().partition(":")[0]
        if reason in _FAILURES:
            raise map_error({"code": reason, "message": f"the provider ended its answer with {said!r}"})
        if reason:
            self._finish_reason = reason
            yield from self._flush()

    def _flush(self) -> Iterator[Delta]:
        if rest := self._thoughts.end():
            yield Delta("thinking", rest)
        if rest := self._text.end():
            yield Delta("text", rest)
        yield from self._calls.end()

    def _delta(self, delta: dict[str, Any]) -> Iterator[Delta]:
        named = next((name for name in _THOUGHTS if text_of(delta.get(name))), "")
        if named:
            self._thought_field = self._thought_field or named
            yield from self._think(delta[named])
        content = delta.get("content")
        for part in objects(content):
            yield from self._part(part)
        if self._parts and text_of(content):
            add_part(self._parts, {"type": "text", "text": content})
        yield from self._say(text_of(content))
        self._refusal.add(text_of(delta.get("refusal")))
        for detail in objects(delta.get("reasoning_details")):
            add_detail(self._details, detail)
        for block in objects(delta.get("thinking_blocks")):
            add_block(self._signed, block)
        self._extra |= {name: delta[name] for name in _RETURNED if delta.get(name)}
        calls = objects(delta.get("tool_calls"))
        if isinstance(legacy := delta.get("function_call"), dict):
            calls.append({"index": 0, "function": legacy})
        for call in calls:
            yield from self._calls.take(call)

    def _think(self, piece: str) -> Iterator[Delta]:
        if shown := self._thoughts.add(piece):
            yield Delta("thinking", shown)

    def _say(self, piece: str) -> Iterator[Delta]:
        if shown := self._text.add(piece):
            yield Delta("text", shown)

    def _part(self, part: dict[str, Any]) -> Iterator[Delta]:
        if not self._parts and self._text.text:  # what came before as plain text
            add_part(self._parts, {"type": "text", "text": self._text.text})
        if part.get("type") == "thinking":
            part = thinking_part(part)
            yield from self._think(thinking_text(part))
        elif part.get("type") == "text":
            yield from self._say(text_of(part.get("text")))
        add_part(self._parts, part)

    def finish(self) -> Turn:
        """The turn. Raises ProviderError when the stream ended before its end."""
        if not self.complete:
            raise cut("the provider's stream ended in the middle of an answer")
        stop = _STOPS.get(self._finish_reason, "end_turn")
        if stop == "end_turn" and self._refusal.text and not self._text.text and not self._calls:
            stop = "refusal"
        if stop == "end_turn" and self._calls:
            stop = "tool_calls"
        blocks: list[AssistantBlock] = []
        if self._thoughts.text:
            blocks.append(Thinking(text=self._thoughts.text))
        if self._text.text:
            blocks.append(Text(text=self._text.text))
        blocks += self._calls.blocks(is_cut=stop in CUT_STOPS)
        native = Native(format="openai-chat", model=self._model, items=(clean_json(self._native()),))
        message = AssistantMessage(
            blocks=tuple(blocks), native=native if blocks or self._refusal.text else None
        )
        return Turn(message, stop, _usage(self._usage), self._answered_by, self._refusal.text)

    def _native(self) -> dict[str, Any]:
        """The message as the provider would have given it whole."""
        message: dict[str, Any] = {"role": "assistant", "content": self._parts or self._text.text or None}
        if self._refusal.text:
            message["refusal"] = self._refusal.text
        if self._thought_field:
            message[self._thought_field] = self._thoughts.text
        if self._details:
            message["reasoning_details"] = self._details
        if self._signed:
            message["thinking_blocks"] = self._signed
        if self._calls:
            message["tool_calls"] = self._calls.native()
        return message | self._extra


def _is_complaint(chunk: dict[str, Any]) -> bool:
    """An error that does not say that it is one."""
    return "choices" not in chunk and bool(chunk.get("message") and (chunk.get("code") or chunk.get("type")))


def _usage(usage: dict[str, Any] | None) -> Usage | None:
    """xAI and Gemini count reasoning in the total only: the output is what the prompt leaves of it."""
    if not usage:
        return None
    prompt, total = count_of(usage.get("prompt_tokens")), count_of(usage.get("total_tokens"))
    said = count_of(usage.get("completion_tokens"))
    details, made = (
        object_of(usage.get("prompt_tokens_details")),
        object_of(usage.get("completion_tokens_details")),
    )
    return counted(
        input_tokens=prompt,
        output_tokens=max(said, total - prompt),
        reasoning_tokens=count_of(made.get("reasoning_tokens")) or max(0, total - prompt - said),
        cached_input_tokens=count_of(
            details.get("cached_tokens")
            or usage.get("prompt_cache_hit_tokens")  # DeepSeek
            or usage.get("cached_tokens")  # Moonshot
            or usage.get("cache_read_input_tokens")  # LiteLLM
        ),
        cache_write_tokens=count_of(
            details.get("cache_write_tokens")
            or details.get("cache_creation_input_tokens")
            or usage.get("cache_creation_input_tokens")
        ),
    )
