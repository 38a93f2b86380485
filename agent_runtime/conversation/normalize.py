"""The one place where a history becomes a request: whatever it has been through, it leaves here fit for one.

A history may be cut anywhere (a killed run), be another model's, or a caller's own. `heal` guarantees:

- every call has exactly one result, right after its turn; where there was none, one that tells the truth
- no result without a call, no id twice, no id or name that another provider would refuse
- user and assistant take turns, a user begins, and a user ends (unless the provider has paused its turn)
- no empty text, message or tool output, no reasoning without its signature, no lone surrogate, no unfit image
- a turn's native form is kept to the byte or left out: a turn that had to be mended goes by its blocks
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from agent_runtime.conversation import provider_items as natives
from agent_runtime.conversation.image_limits import ImageLimits, fit_images, left_out
from agent_runtime.conversation.tool_pairs import pair
from agent_runtime.protocol.messages import (
    NO_OUTPUT,
    AssistantBlock,
    AssistantMessage,
    Message,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    UserBlock,
    UserMessage,
    WireFormat,
    clean_text,
)

BEGINNING = "[The beginning of this conversation is not available.]"
CONTINUE = "Continue."

_UNFIT = re.compile(r"[^A-Za-z0-9_-]")  # in the names of tools
_MAX_NAME = 64
_UNSENDABLE = "text that no wire can carry was replaced"
_BLAMED = re.compile(r"signature|thinking|reasoning|encrypted|tool_use|tool_result|tool call|call_id|item")


M = TypeVar("M", UserMessage, AssistantMessage)
Words = TypeVar("Words", Text, Thinking)


@dataclass(frozen=True)
class NormalizedHistory:
    """A history fit to be sent. `repairs` says in a few words what was wrong; empty when nothing was."""

    messages: tuple[Message, ...]
    repairs: tuple[str, ...] = ()


@dataclass
class _Notes:
    found: Counter[str] = field(default_factory=Counter)

    def add(self, what: str) -> None:
        if what:
            self.found[what] += 1

    def texts(self) -> tuple[str, ...]:
        return tuple(what if n == 1 else f"{what} ({n} times)" for what, n in self.found.items())


class NormalizeCache:
    """Messages never change: what was found in one is remembered."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[Message, Message | None, Counter[str]]] = {}

    def clean(
        self, message: Message, format: WireFormat | None, model: str | None, notes: _Notes
    ) -> Message | None:
        """The message by itself, without what cannot be sent."""
        key = (id(message), format, model)  # the message is kept, so that its id is no other's
        if key not in self._known:
            own = _Notes()
            self._known[key] = (message, _clean(message, format, model, own), own.found)
        _, kept, found = self._known[key]
        notes.found.update(found)
        return kept


def normalize(
    messages: Iterable[Message],
    *,
    paused: bool = False,
    format: WireFormat | None = None,
    model: str | None = None,
    images: ImageLimits | None = None,
    memory: NormalizeCache | None = None,
) -> NormalizedHistory:
    """The same history with all of the above guaranteed. Pure and idempotent: go on with what it gives.

    Args:
        messages: the history, in order.
        paused: the last turn was `pause_turn` and is to be sent back as it is.
        format: the wire it is meant for. Native forms of another wire are left out; None keeps them all.
        model: the model it is meant for. Reasoning signed for another model is left out; None keeps it.
        images: what images may cost.
        memory: what is known from earlier calls; a growing history is healed before every turn of a run.
    """
    notes = _Notes()
    known = NormalizeCache() if memory is None else memory
    clean = [kept for message in messages if (kept := known.clean(message, format, model, notes))]
    turns = _alternate(pair(_settled(clean, paused, notes), notes.add))
    turns = _from_user_to_user(turns, paused, notes)
    return NormalizedHistory(tuple(fit_images(turns, images or ImageLimits(), notes.add)), notes.texts())


def mend(messages: Sequence[Message], blame: str) -> NormalizedHistory | None:
    """A refused history (a 400) without what was blamed; None when that is nothing known. For one more try.

    Args:
        messages: the healed history that was refused.
        blame: the provider's message, such as `messages.3.content.0: Invalid signature in thinking block`.
    """
    words = blame.lower()
    if "image" in words or "media_type" in words:
        repair = "images that the provider refused were left out"
        mended = [left_out(message, "the provider refused it") for message in messages]
    elif _BLAMED.search(words):
        repair = "turns that the provider refused in its own form went by their blocks"
        mended = [m.model_copy(update={"native": None}) if m.role == "assistant" else m for m in messages]
    else:
        return None
    if mended == list(messages):
        return None
    healed = normalize(mended)
    return NormalizedHistory(healed.messages, (repair, *healed.repairs))


def _clean(message: Message, format: WireFormat | None, model: str | None, notes: _Notes) -> Message | None:
    if isinstance(message, UserMessage):
        blocks = tuple(kept for block in message.blocks if (kept := _clean_user(block, notes)))
        return _with(message, blocks=blocks) if blocks else None
    said = tuple(fit for item in message.blocks if (fit := _clean_assistant(item, notes)))
    native = message.native
    if native and format in (None, native.format):
        native, repair = natives.normalize_items(native, model)
        notes.add(repair)
    else:
        native = None
    calls = tuple(item for item in said if isinstance(item, ToolCall))
    if native and not (calls == message.calls and natives.agrees(native, [call.id for call in calls])):
        notes.add("a turn whose native form did not agree with its blocks went by the blocks")
        native = None
    return _unless_empty(_with(message, blocks=said, native=native))


def _with(message: M, **changes: object) -> M:
    # most messages are sound, and every one passes here before each model call
    same = all((old := getattr(message, name)) is value or old == value for name, value in changes.items())
    return message if same else message.model_copy(update=changes)


def _unless_empty(turn: AssistantMessage) -> AssistantMessage | None:
    said_something = turn.native or not all(isinstance(block, Thinking) for block in turn.blocks)
    return turn if said_something else None  # reasoning goes back in its native form only


def _clean_user(block: UserBlock, notes: _Notes) -> UserBlock | None:
    if isinstance(block, Text):
        return _clean_words(block, notes)
    if isinstance(block, ToolResult):
        parts = (_clean_words(part, notes) if isinstance(part, Text) else part for part in block.content)
        content = tuple(part for part in parts if part) or (Text(text=NO_OUTPUT),)
        return block if content == block.content else block.model_copy(update={"content": content})
    return block


def _clean_assistant(block: AssistantBlock, notes: _Notes) -> AssistantBlock | None:
    if isinstance(block, Text):
        return _clean_words(block, notes)
    if isinstance(block, Thinking):
        return _clean_words(block, notes)
    changes: dict[str, object] = {}
    arguments, parsed = clean_text(block.arguments), natives.clean_json(block.input)
    if parsed != block.input:  # a `\\ud800` in the arguments is plain ASCII, and poison once it is parsed
        arguments = json.dumps(parsed, ensure_ascii=False)
    if arguments != block.arguments:
        notes.add(_UNSENDABLE)
        changes |= {"arguments": arguments, "input": parsed}
    name = _UNFIT.sub("_", block.name)[:_MAX_NAME] or "unknown"
    if name != block.name:
        notes.add("a tool's name that no provider takes was changed")
        changes["name"] = name
    return block.model_copy(update=changes) if changes else block


def _clean_words(block: Words, notes: _Notes) -> Words | None:
    text = clean_text(block.text)
    if not text.strip():  # Anthropic takes a text of spaces for empty
        return None
    if text == block.text:
        return block
    notes.add(_UNSENDABLE)
    return block.model_copy(update={"text": text})


def _settled(messages: Sequence[Message], paused: bool, notes: _Notes) -> list[Message]:
    """Nothing half-done in the native form of a turn that is over."""
    turns = [message for message in messages if isinstance(message, AssistantMessage)]
    answered = natives.answered_hosted(turn.native for turn in turns if turn.native)
    settled: list[Message] = []
    for number, message in enumerate(messages, 1):
        if isinstance(message, UserMessage) or message.native is None or (paused and number == len(messages)):
            settled.append(message)
            continue
        native, repair = natives.settle(message.native, answered)
        notes.add(repair)
        if native is message.native:
            settled.append(message)
            continue
        turn = _unless_empty(_with(message, native=native))
        settled += [turn] if turn else []
    return settled


def _alternate(messages: Sequence[Message]) -> list[Message]:
    turns: list[Message] = []
    for message in messages:
        last = turns[-1] if turns else None
        if isinstance(message, UserMessage) and isinstance(last, UserMessage):
            turns[-1] = UserMessage(blocks=last.blocks + message.blocks)
        elif isinstance(message, AssistantMessage) and isinstance(last, AssistantMessage):
            native = natives.join(last.native, message.native)
            if native or not (last.native or message.native):
                turns[-1] = AssistantMessage(blocks=last.blocks + message.blocks, native=native)
            else:  # two forms that cannot be one
                turns += [UserMessage.of(CONTINUE), message]
        else:
            turns.append(message)
    return turns


def _from_user_to_user(turns: list[Message], paused: bool, notes: _Notes) -> list[Message]:
    if turns and isinstance(turns[0], AssistantMessage):
        turns = [UserMessage.of(BEGINNING), *turns]
        notes.add("the history began with an assistant message")
    if turns and isinstance(turns[-1], AssistantMessage) and not paused:
        turns = [*turns, UserMessage.of(CONTINUE)]
        notes.add("the history ended with an assistant message")
    return turns
