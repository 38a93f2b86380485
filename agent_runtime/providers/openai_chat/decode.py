"""The Chat Completions format: a turn from the chunks of its stream, in all known dialects."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from agent_runtime.agent.model import Delta, StopReason, Turn
from agent_runtime.conversation.provider_items import clean_json
from agent_runtime.protocol.messages import AssistantMessage, Native
from agent_runtime.providers.call_ids import Ids
from agent_runtime.providers.errors import cut, map_error
from agent_runtime.providers.openai_chat.calls import Calls
from agent_runtime.providers.openai_chat.content import MessageContent
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


class ChatDecoder:
    """Builds a turn from the chunks of one stream.

    Only one choice is asked for. Gateways that answer with several divide one answer between them: the calls of all
    choices count, and the text of the first one that has any.
    """

    def __init__(self, model: str, known_ids: Collection[str]) -> None:
        self._model = model
        self._calls = Calls(Ids(known_ids))
        self._content = MessageContent()
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
            yield from self._content.add(delta)
        for call in _calls(delta):
            yield from self._calls.take(call, number, late=is_late)

    def _message(self, message: dict[str, Any], number: int) -> Iterator[Delta]:
        """A whole message, which may repeat the deltas before it."""
        if number != next(iter(self._ends), number):
            self._other_texts.setdefault(number, Pieces()).add(text_of(message.get("content")))
        else:
            yield from self._content.add_message(message)
        yield from self._calls.merge(_calls(message), number)

    def _flush(self) -> Iterator[Delta]:
        yield from self._content.end()
        yield from self._calls.end()

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
        content = self._content
        content.add_late(self._late)
        if not content.text:
            others = (other.text for other in self._other_texts.values())
            list(content.add_text(next((text for text in others if text.strip()), "")))
        ends = [stop_reason(reason) for reason in self._ends.values()]
        stop = self._unusual_end() or "end_turn"
        if not self._calls and "tool_calls" in ends:
            raise cut("the provider announced tool calls and sent none")
        if stop == "end_turn" and content.refusal and not content.text and not self._calls:
            stop = "refusal"
        if stop == "end_turn" and self._calls:
            stop = "tool_calls"
        is_cut = stop in CUT_STOPS or not all(self._ends.values())
        blocks = [*content.blocks(), *self._calls.blocks(is_cut=is_cut)]
        item = clean_json(content.native(self._calls.native()))
        native = Native(format="openai-chat", model=self._model, items=(item,))
        message = AssistantMessage(blocks=tuple(blocks), native=native if blocks or content.refusal else None)
        return Turn(message, stop, usage_of(self._usage), self._answered_by, content.refusal)


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
