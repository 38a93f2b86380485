"""Makes a valid request history of any history: one cut anywhere (a killed run), another model's, or a caller's own.

`normalize` guarantees:

- every call has exactly one result, right after its turn; a call without one gets a result that says so
- no result without a call, no id twice, no id or name that another provider would refuse
- user and assistant messages alternate, beginning and ending with a user's (unless the provider has paused its turn)
- no empty text, message or tool output, no reasoning without its signature, no lone surrogate, no invalid image
- a turn's native form is kept to the byte or left out: a turn that had to be repaired is sent as its blocks

`for_model` then leaves out of it what only another model can read.
"""

from __future__ import annotations

import json
import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import field
from typing import TypeVar

from agent_runtime.conversation import provider_items as natives
from agent_runtime.conversation.image_limits import ImageLimits, fit_images
from agent_runtime.conversation.memo import Memo
from agent_runtime.conversation.tool_pairs import pair
from agent_runtime.lazy import dataclass, lazy_pattern
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

_INVALID = lazy_pattern(r"[^A-Za-z0-9_-]")  # in the names of tools
_MAX_NAME = 64
_UNSENDABLE = "text that cannot be encoded was replaced"


M = TypeVar("M", UserMessage, AssistantMessage)
Words = TypeVar("Words", Text, Thinking)


@dataclass(frozen=True)
class NormalizedHistory:
    """A valid history. `repairs` describes what was wrong; it is empty when nothing was."""

    messages: tuple[Message, ...]
    repairs: tuple[str, ...] = ()


@dataclass
class _Notes:
    found: Counter[str] = field(default_factory=Counter)

    def add(self, what: str) -> None:
        if what:
            self.found[what] += 1


class NormalizeCache:
    """Caches what was found in each message, which never changes."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Message, Message | None, Counter[str]]] = {}

    def clean(self, message: Message, notes: _Notes) -> Message | None:
        """The message by itself, without what cannot be sent."""
        key = id(message)  # the message is kept, so that no other gets its id
        if key not in self._known:
            own = _Notes()
            self._known[key] = (message, _clean(message, own), own.found)
        _, kept, found = self._known[key]
        notes.found.update(found)
        return kept


def normalize(
    messages: Iterable[Message],
    *,
    paused: bool = False,
    images: ImageLimits | None = None,
    cache: NormalizeCache | None = None,
) -> NormalizedHistory:
    """Return the history with the guarantees above. Pure and idempotent.

    Args:
        messages: the history, in order.
        paused: the last turn was `pause_turn` and is to be sent back as it is.
        images: what images may cost.
        cache: what is known from earlier calls; a growing history is normalized before every turn of a run.
    """
    turns, found = normalized(messages, paused=paused, images=images, cache=cache)
    return NormalizedHistory(tuple(turns), repair_texts(found))


def normalized(
    messages: Iterable[Message],
    *,
    paused: bool = False,
    images: ImageLimits | None = None,
    cache: NormalizeCache | None = None,
) -> tuple[list[Message], Counter[str]]:
    """Return the messages of `normalize`, and how often each repair was made."""
    notes = _Notes()
    known = NormalizeCache() if cache is None else cache
    clean = [kept for message in messages if (kept := known.clean(message, notes))]
    turns = _alternate(pair(_settled(clean, paused, notes), notes.add))
    turns = _from_user_to_user(turns, paused, notes)
    return fit_images(turns, images or ImageLimits(), notes.add), notes.found


def repair_texts(found: Counter[str]) -> tuple[str, ...]:
    """Return a text for each kind of repair."""
    return tuple(what if n == 1 else f"{what} ({n} times)" for what, n in found.items())


def for_model(
    messages: Sequence[Message],
    format: WireFormat,
    model: str,
    memo: Memo[Message, Message | None] | None = None,
) -> Sequence[Message]:
    """A normalized history as one model takes it: turns of another format go as their blocks, and reasoning that was
    signed for another model is left out. The same guarantees hold; a history of this model alone is not changed.

    Args:
        messages: the history.
        format: the wire format of the model.
        model: its name.
        memo: what is known from earlier calls for this model.
    """
    each = (Memo() if memo is None else memo).map(messages, lambda message: _fitted(message, format, model))
    fitted = [kept for kept in each if kept is not None]
    if len(fitted) == len(messages) and all(map(operator.is_, fitted, messages)):
        return messages
    notes = _Notes()
    paused = bool(messages) and isinstance(messages[-1], AssistantMessage)
    return _from_user_to_user(_alternate(pair(fitted, notes.add)), paused, notes)


def _fitted(message: Message, format: WireFormat, model: str) -> Message | None:
    if isinstance(message, UserMessage) or message.native is None:
        return message
    native = None
    if message.native.format == format:
        native, _ = natives.normalize_items(message.native, model)
    return message if native is message.native else _unless_empty(_with(message, native=native))


def _clean(message: Message, notes: _Notes) -> Message | None:
    if isinstance(message, UserMessage):
        blocks = tuple(kept for block in message.blocks if (kept := _clean_user(block, notes)))
        return _with(message, blocks=blocks) if blocks else None
    said = tuple(fit for item in message.blocks if (fit := _clean_assistant(item, notes)))
    native = message.native
    if native:
        native, repair = natives.normalize_items(native, None)
        notes.add(repair)
    calls = tuple(item for item in said if isinstance(item, ToolCall))
    if native and not (calls == message.calls and natives.agrees(native, [call.id for call in calls])):
        notes.add("a turn whose native form did not agree with its blocks was sent as its blocks")
        native = None
    return _unless_empty(_with(message, blocks=said, native=native))


def _with(message: M, **changes: object) -> M:
    # most messages are valid, and each of them passes here before every model call
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
    if parsed != block.input:  # a `\\ud800` escape is plain ASCII, and a lone surrogate once it is parsed
        arguments = json.dumps(parsed, ensure_ascii=False)
    if arguments != block.arguments:
        notes.add(_UNSENDABLE)
        changes |= {"arguments": arguments, "input": parsed}
    name = _INVALID.sub("_", block.name)[:_MAX_NAME] or "unknown"
    if name != block.name:
        notes.add("an invalid tool name was changed")
        changes["name"] = name
    return block.model_copy(update=changes) if changes else block


def _clean_words(block: Words, notes: _Notes) -> Words | None:
    text = clean_text(block.text)
    if not text.strip():  # Anthropic refuses a text of spaces as empty
        return None
    if text == block.text:
        return block
    notes.add(_UNSENDABLE)
    return block.model_copy(update={"text": text})


def _settled(messages: Sequence[Message], paused: bool, notes: _Notes) -> list[Message]:
    """Return the turn without incomplete items in its native form."""
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
            else:  # their native forms cannot be joined
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
