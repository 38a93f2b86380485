"""What the three wires share: text that arrives in pieces, ids that must be unique, and calls cut short."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from agent_runtime.conversation.provider_items import clean_json
from agent_runtime.protocol.messages import (
    AssistantMessage,
    Message,
    ToolCall,
    Usage,
    clean_text,
    parse_arguments,
)

# after these the last call may be a fragment
CUT_STOPS = frozenset({"max_tokens", "refusal", "context_overflow"})

# How Anthropic's guide to fine-grained tool streaming hands arguments that are no JSON back to the model
INVALID = "INVALID_JSON"


class Pieces:
    """Text that arrives in pieces. Half of a surrogate pair is held back until the other half is there."""

    def __init__(self, text: str = "") -> None:
        self._parts = [text] if text else []
        self._half = ""

    def add(self, piece: str) -> str:
        """Take the next piece; returns what can be shown now."""
        piece = self._half + piece
        self._half = ""
        if piece and "\ud800" <= piece[-1] <= "\udbff":
            piece, self._half = piece[:-1], piece[-1]
        return self._keep(piece)

    def end(self) -> str:
        """No more pieces: what was held back, as U+FFFD."""
        half, self._half = self._half, ""
        return self._keep(half)

    def complete(self, whole: str) -> str:
        """The whole text is known: what of it has not been shown. Another text takes its place."""
        self._half = ""
        whole, shown = clean_text(whole), self.text
        self._parts = [whole]
        return whole[len(shown) :] if whole.startswith(shown) else ""

    def _keep(self, piece: str) -> str:
        piece = clean_text(piece)
        if piece:
            self._parts.append(piece)
        return piece

    @property
    def text(self) -> str:
        """All of it."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""


def tool_call(
    id: str, name: str, arguments: str, *, freeform: bool = False, truncated: bool = False
) -> ToolCall:
    """A call as the model wrote it; `input` is None when a function's arguments are no JSON object."""
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
    """The call's input as an object, whatever the model wrote."""
    return call.input if call.input is not None else {INVALID: call.arguments}


class Ids:
    """Gives a call an id that no other call of the conversation has, and keeps the provider's where it is
    one.

    Deterministic, so that a replay comes to the same ids.
    """

    def __init__(self, messages: Iterable[Message], fits: str = r".+") -> None:
        turns = [message for message in messages if isinstance(message, AssistantMessage)]
        self._used = {call.id for turn in turns for call in turn.calls}
        self._number = len(self._used)
        self._fits = re.compile(fits, re.S)

    def take(self, id: object) -> str:
        """The id itself, or a new one when it is missing, taken, or unfit to be sent back."""
        if isinstance(id, str) and id not in self._used and self._fits.fullmatch(id):
            self._used.add(id)
            return id
        while (made := f"call_{self._number:06d}") in self._used:
            self._number += 1
        self._used.add(made)
        return made


def short_id(id: str) -> str:
    """The id as nine letters and digits (Mistral takes no other): itself, or a digest of it."""
    if re.fullmatch(r"[a-zA-Z0-9]{9}", id):
        return id
    from hashlib import sha256

    return sha256(id.encode()).hexdigest()[:9]


def text_of(value: object) -> str:
    """The value if it is a string; anything else counts as no text."""
    return value if isinstance(value, str) else ""


def count_of(value: object) -> int:
    """A number of tokens: what is no whole number of them counts as none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def counted(**tokens: int) -> Usage | None:
    """The usage with these numbers; None when there are none but zeros, which is how some report nothing."""
    return Usage.model_validate(tokens) if any(tokens.values()) else None


def object_of(value: object) -> dict[str, Any]:
    """The value if it is an object; anything else counts as an empty one."""
    return value if isinstance(value, dict) else {}


def sound_arguments(arguments: str) -> str:
    """The same text, or one that holds it where it is no JSON object: servers parse arguments, and would fail."""
    if not arguments.strip():
        return "{}"
    if parse_arguments(arguments) is None:
        return json.dumps({INVALID: arguments}, ensure_ascii=False)
    return arguments


def objects(value: object) -> list[dict[str, Any]]:
    """The objects in a list; anything else counts as an empty list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
