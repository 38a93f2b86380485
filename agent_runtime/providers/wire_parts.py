"""What the three wire formats share: text that arrives in pieces, unique call ids, reasons to stop, and counts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any

from agent_runtime.agent.model import StopReason
from agent_runtime.conversation.provider_items import clean_json
from agent_runtime.protocol.messages import (
    ToolCall,
    Usage,
    clean_text,
    parse_arguments,
)

# after these the last call may be a fragment
CUT_STOPS = frozenset({"max_tokens", "refusal", "context_overflow"})

# why a model stopped, in the words of all providers (lower case, `_` for `-`); any other word means a broken answer
_STOP_WORDS: dict[StopReason, str] = {
    "end_turn": "stop end_turn eos eos_token stop_sequence stop_token stop_word complete completed done finish "
    "finished end endoftext normal success",
    "tool_calls": "tool_calls tool_call tool_use tool function_call function_calls",
    "max_tokens": "length max_tokens max_length max_output_tokens max_completion_tokens model_length token_limit "
    "output_limit max_token",
    "refusal": "refusal content_filter content_filtered safety sensitive prohibited_content recitation blocklist spii "
    "guardrail_intervened guardrails image_safety language blocked",
    "context_overflow": "model_context_window_exceeded context_length_exceeded context_window_exceeded",
    "pause_turn": "pause_turn compaction",
}
_STOPS: dict[str, StopReason] = {word: stop for stop, words in _STOP_WORDS.items() for word in words.split()}


def stop_reason(word: str) -> StopReason | None:
    """Why the model stopped, by the provider's word for it; None when the word means a failure or is unknown.

    Some providers add what they stopped for after a colon, or write words in capitals.
    """
    return _STOPS.get(word.strip().lower().partition(":")[0].strip().replace("-", "_"))


# The key under which Anthropic's guide to fine-grained tool streaming returns invalid JSON to the model
INVALID = "INVALID_JSON"


class Pieces:
    """Text that arrives in pieces. Half of a surrogate pair is held back until the other half is there."""

    def __init__(self, text: str = "") -> None:
        self._parts = [text] if text else []
        self._half = ""

    def add(self, piece: str) -> str:
        """Take the next piece; returns what can be passed on now."""
        piece = self._half + piece
        self._half = ""
        if piece and "\ud800" <= piece[-1] <= "\udbff":
            piece, self._half = piece[:-1], piece[-1]
        return self._keep(piece)

    def end(self) -> str:
        """Return what was held back as U+FFFD; there are no more pieces."""
        half, self._half = self._half, ""
        return self._keep(half)

    def complete(self, whole: str) -> str:
        """The whole text is known: returns what of it has not been passed on. Another text replaces this one."""
        self._half = ""
        whole, known = clean_text(whole), "".join(self._parts)
        self._parts = [whole]
        return whole[len(known) :] if whole.startswith(known) else ""

    def _keep(self, piece: str) -> str:
        piece = clean_text(piece)
        if piece:
            self._parts.append(piece)
        return piece

    @property
    def text(self) -> str:
        """The whole text."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""


class ArgumentPieces(Pieces):
    """The arguments of a call. What a gateway sent twice is in their text once."""

    @property
    def text(self) -> str:
        """The whole text; see `without_repetition`."""
        return without_repetition(self._parts)

    @property
    def is_whole(self) -> bool:
        """Whether it is a complete JSON object. An empty text is not."""
        if not self._parts or not self._parts[-1].rstrip().endswith("}"):
            return False
        return parse_arguments("".join(self._parts)) is not None


def without_repetition(pieces: Sequence[str]) -> str:
    """The arguments of a call from their pieces.

    Some gateways begin with `{}`, send the text so far with every piece, or send the whole once more at the end. Where
    the joined text is not a JSON object and this explains why, the result is the object; otherwise the joined text.
    """
    text = "".join(pieces)
    if not text.lstrip().startswith("{") or parse_arguments(text) is not None:
        return text
    try:
        first, end = json.JSONDecoder().raw_decode(text.lstrip())
        rest = text.lstrip()[end:]
        again = parse_arguments(without_repetition([rest])) if rest.lstrip().startswith("{") else None
        if again is not None and (not first or again == first):
            return without_repetition([rest])
    except (ValueError, RecursionError):
        pass  # it begins with a fragment
    last = next((at for at in range(len(pieces) - 1, 0, -1) if pieces[at].lstrip().startswith("{")), 0)
    for at in {last, *_second_starts(pieces)} - {0}:
        before, rest = "".join(pieces[:at]), "".join(pieces[at:])
        is_repeated = rest.startswith(before) or all(rest.startswith(piece) for piece in pieces[:at])
        if is_repeated and parse_arguments(rest) is not None:
            return rest
    return text


def _second_starts(pieces: Sequence[str]) -> Iterable[int]:
    """Where the text may begin again: at the first few pieces that begin as it does."""
    begin = pieces[0].lstrip()[:8]
    return islice((at for at in range(1, len(pieces)) if pieces[at].lstrip().startswith(begin)), 8)


def tool_call(
    id: str, name: str, arguments: str, *, freeform: bool = False, truncated: bool = False
) -> ToolCall:
    """A call as the model wrote it; `input` is None when a function's arguments are not a JSON object."""
    arguments = clean_text(arguments)
    if freeform:
        parsed: dict[str, Any] | None = {"input": arguments}
    else:
        parsed = parse_arguments(arguments)
    if parsed is not None and (cleaned := clean_json(parsed)) is not parsed:
        parsed, arguments = cleaned, json.dumps(cleaned, ensure_ascii=False)
    return ToolCall(
        id=id, name=name, arguments=arguments, input=parsed, freeform=freeform, truncated=truncated
    )


def sendable_input(call: ToolCall) -> dict[str, Any]:
    """The call's input as an object, also where the model wrote something else."""
    return call.input if call.input is not None else {INVALID: call.arguments}


def short_id(id: str) -> str:
    """The id as nine letters and digits (Mistral takes no other): itself, or a digest of it."""
    if re.fullmatch(r"[a-zA-Z0-9]{9}", id):
        return id
    return sha256(id.encode()).hexdigest()[:9]


def text_of(value: object) -> str:
    """The value if it is a string; anything else counts as no text."""
    return value if isinstance(value, str) else ""


def count_of(value: object) -> int:
    """A number of tokens; anything but a positive integer counts as 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def counted(**tokens: int) -> Usage | None:
    """The usage with these numbers; None when all are zero, which is how some providers report nothing."""
    return Usage.model_validate(tokens) if any(tokens.values()) else None


def whole_input(prompt: int, cached: int, written: int) -> int:
    """The tokens of the whole prompt. Providers that exclude its cached part may report more tokens of that."""
    return prompt + cached + written if cached + written > prompt else prompt


def object_of(value: object) -> dict[str, Any]:
    """The value if it is an object; anything else counts as an empty one."""
    return value if isinstance(value, dict) else {}


def sound_arguments(arguments: str) -> str:
    """The same text, or an object that contains it where it is not one: servers fail to parse other arguments."""
    if not arguments.strip():
        return "{}"
    if parse_arguments(arguments) is None:
        return json.dumps({INVALID: arguments}, ensure_ascii=False)
    return arguments


def objects(value: object) -> list[dict[str, Any]]:
    """The objects in a list; anything else counts as an empty list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
