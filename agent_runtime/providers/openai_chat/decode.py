"""The Chat Completions format: a turn from the chunks of its stream, in all known dialects."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from agent_runtime.agent.model import Delta, StopReason, Turn
from agent_runtime.conversation.provider_items import clean_json
from agent_runtime.protocol.messages import (
    AssistantBlock,
    AssistantMessage,
    Native,
    Text,
    Thinking,
)
from agent_runtime.providers.call_ids import Ids
from agent_runtime.providers.errors import cut, map_error
from agent_runtime.providers.openai_chat.calls import Calls
from agent_runtime.providers.openai_chat.reasoning import (
    add_block,
    add_detail,
    add_part,
    thinking_part,
    thinking_text,
)
from agent_runtime.providers.openai_chat.usage import usage_of
from agent_runtime.providers.wire_parts import (
    CUT_STOPS,
    Pieces,
    count_of,
    object_of,
    objects,
    stop_reason,
    text_of,
)

# the names under which providers stream a model's reasoning
_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_text")
# fields that some providers expect back unchanged
_RETURNED = ("extra_content", "provider_specific_fields", "reasoning_opaque")


class ChatDecoder:
    """Builds a turn from the chunks of one stream.

    Only one choice is asked for. Gateways that answer with several divide one answer between them: the calls of all
    choices count, and the text of the first one that has any.
    """

    def __init__(self, model: str, known_ids: Collection[str]) -> None:
        self._model = model
        self._calls = Calls(Ids(known_ids))
        self._text = Pieces()
        self._thoughts = Pieces()
        self._thought_field = ""
        self._parts: list[dict[str, Any]] = []  # content that came as parts (Mistral), joined by kind
        self._details: list[dict[str, Any]] = []  # OpenRouter's reasoning_details, to be sent back
        self._signed: list[dict[str, Any]] = []  # LiteLLM's thinking_blocks, likewise
        self._extra: dict[str, Any] = {}
        self._refusal = Pieces()
        self._other_texts: dict[int, Pieces] = {}  # of the other choices
        self._late: list[dict[str, Any]] = []  # deltas after the finish_reason
        self._usage: dict[str, Any] | None = None
        self._answered_by = ""
        self._ends: dict[int, str] = {}  # the finish_reason of each choice, empty while it is open

    @property
    def complete(self) -> bool:
        """Whether the reason to stop was received. Usage may follow."""
        return bool(self._ends) and all(self._ends.values())

    def feed(self, chunk: dict[str, Any]) -> Sequence[Delta]:
        """Take the next chunk. Raises ProviderError for an error, and for an answer that was broken off."""
        if chunk.get("error") or chunk.get("object") == "error" or _is_error(chunk):
            raise map_error(chunk)
        self._answered_by = self._answered_by or text_of(chunk.get("model"))
        self._count(object_of(chunk.get("x_groq")).get("usage"))
        self._count(chunk.get("usage"))
        is_whole = chunk.get("object") == "chat.completion"
        return [
            delta
            for choice in objects(chunk.get("choices"))
            for delta in self._choice(choice, is_whole=is_whole)
        ]

    def _count(self, usage: object) -> None:
        if isinstance(usage, dict) and any(map(count_of, usage.values())):
            self._usage = usage  # counts are cumulative: the last one is valid

    def _choice(self, choice: dict[str, Any], *, is_whole: bool) -> Iterator[Delta]:
        if choice.get("error"):  # OpenRouter, beside a finish_reason "error"
            raise map_error(choice)
        self._count(choice.get("usage"))
        index = choice.get("index")
        number = index if isinstance(index, int) else 0
        delta, message = choice.get("delta"), choice.get("message")
        if isinstance(delta, dict) and is_whole:
            delta, message = None, delta
        reason = text_of(choice.get("finish_reason")).replace("null", "")
        if isinstance(delta, dict):
            yield from self._piece(delta, number)
        if isinstance(message, dict) and (reason or not isinstance(delta, dict)):
            yield from self._message(message, number)
        self._ends.setdefault(number, "")
        if reason:
            if stop_reason(reason) is None:
                words = f"the provider broke off its answer with finish_reason {reason!r}"
                raise map_error({"code": reason.lower(), "message": words})
            self._ends[number] = self._ends[number] or reason
            yield from self._flush()

    def _piece(self, delta: dict[str, Any], number: int) -> Iterator[Delta]:
        """A delta. Text of another choice, or after the end, is kept apart: it may repeat what is there."""
        is_late = bool(self._ends.get(number))
        if number != next(iter(self._ends), number):
            self._other_texts.setdefault(number, Pieces()).add(text_of(delta.get("content")))
        elif is_late:
            self._late.append(delta)
        else:
            yield from self._delta(delta)
        for call in _calls(delta):
            yield from self._calls.take(call, number, late=is_late)

    def _message(self, message: dict[str, Any], number: int) -> Iterator[Delta]:
        """A whole message. Beside deltas it repeats them: only what they have not brought is taken."""
        content = message.get("content")
        if number != next(iter(self._ends), number):
            self._other_texts.setdefault(number, Pieces()).add(text_of(content))
        elif not (self._text.text or self._thoughts.text or self._parts):
            yield from self._delta(message)
        elif isinstance(content, str) and content.startswith(self._text.text) and not self._parts:
            yield from self._say(content[len(self._text.text) :])
        yield from self._calls.merge(_calls(message), number)

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

    def _think(self, piece: str) -> Iterator[Delta]:
        if new := self._thoughts.add(piece):
            yield Delta("thinking", new)

    def _say(self, piece: str) -> Iterator[Delta]:
        if new := self._text.add(piece):
            yield Delta("text", new)

    def _part(self, part: dict[str, Any]) -> Iterator[Delta]:
        if not self._parts and self._text.text:  # what came before as plain text
            add_part(self._parts, {"type": "text", "text": self._text.text})
        if part.get("type") == "thinking":
            part = thinking_part(part)
            yield from self._think(thinking_text(part))
        elif part.get("type") == "text":
            yield from self._say(text_of(part.get("text")))
        add_part(self._parts, part)

    def _unusual_end(self) -> StopReason | None:
        for reason in self._ends.values():
            end = stop_reason(reason)
            if end not in (None, "end_turn", "tool_calls"):
                return end
        return None

    def finish(self) -> Turn:
        """The turn. Raises ProviderError when the stream ended before its end, or ended with calls that never came."""
        first = next(iter(self._ends), 0)
        if not self._ends.get(first) and not (any(self._ends.values()) and self._calls):
            raise cut("the provider's stream ended in the middle of an answer")
        self._take_late()
        if not self._text.text:
            others = (other.text for other in self._other_texts.values())
            self._text.add(next((text for text in others if text.strip()), ""))
        ends = [stop_reason(reason) for reason in self._ends.values()]
        stop = self._unusual_end() or "end_turn"
        if not self._calls and "tool_calls" in ends:
            raise cut("the provider announced tool calls and sent none")
        if stop == "end_turn" and self._refusal.text and not self._text.text and not self._calls:
            stop = "refusal"
        if stop == "end_turn" and self._calls:
            stop = "tool_calls"
        is_cut = stop in CUT_STOPS or not all(self._ends.values())
        blocks: list[AssistantBlock] = []
        if self._thoughts.text:
            blocks.append(Thinking(text=self._thoughts.text))
        if self._text.text:
            blocks.append(Text(text=self._text.text))
        blocks += self._calls.blocks(is_cut=is_cut)
        native = Native(format="openai-chat", model=self._model, items=(clean_json(self._native()),))
        message = AssistantMessage(
            blocks=tuple(blocks), native=native if blocks or self._refusal.text else None
        )
        return Turn(message, stop, usage_of(self._usage), self._answered_by, self._refusal.text)

    def _take_late(self) -> None:
        """Deltas after the end count, unless they repeat the answer: some providers end it with every chunk."""
        text = "".join(text_of(delta.get("content")) for delta in self._late)
        thoughts = "".join(text_of(delta.get(self._thought_field)) for delta in self._late)
        if not (self._text.text.startswith(text) and self._thoughts.text.startswith(thoughts)):
            for delta in self._late:
                list(self._delta(delta))

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


def _calls(delta: dict[str, Any]) -> list[dict[str, Any]]:
    """The calls of a delta or a message, the deprecated single `function_call` among them."""
    calls = objects(delta.get("tool_calls"))
    legacy = delta.get("function_call")
    return [*calls, {"index": 0, "function": legacy}] if isinstance(legacy, dict) else calls


def _is_error(chunk: dict[str, Any]) -> bool:
    """Return whether it is an error object that is not inside an `error` field."""
    if object_of(chunk.get("base_resp")).get("status_code") and not chunk.get("choices"):  # MiniMax
        return True
    return "choices" not in chunk and bool(chunk.get("message") and (chunk.get("code") or chunk.get("type")))
