"""Turns any history into one that a request may have: one that a killed run left, another model's, or a caller's own.

`normalize` guarantees:

- every call has exactly one result, right after its turn; a call without one gets a result that says so
- no result without a call, no id twice, no id or name that another provider would refuse
- user and assistant messages alternate, beginning and ending with a user's (unless the provider has paused its turn)
- no empty text, message or tool output, no reasoning without its signature, no lone surrogate, no invalid image
- a turn's native form is kept to the byte or left out: a turn that had to be repaired is sent as its blocks

`for_model` then leaves out of it what only another model can read.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from agent_runtime.conversation import provider_items as natives
from agent_runtime.conversation.clean_messages import NormalizeCache, Notes, unless_empty, with_changes
from agent_runtime.conversation.image_limits import ImageLimits, fit_media
from agent_runtime.conversation.memo import Memo
from agent_runtime.conversation.tool_pairs import pair
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import AssistantMessage, Message, UserMessage, WireFormat

BEGINNING = "[The beginning of this conversation is not available.]"
CONTINUE = "Continue."


@dataclass(frozen=True)
class NormalizedHistory:
    """A valid history. `repairs` describes what was wrong; it is empty when nothing was."""

    messages: tuple[Message, ...]
    repairs: tuple[str, ...] = ()


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
        images: what images and documents may cost.
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
    notes = Notes()
    known = NormalizeCache() if cache is None else cache
    clean = [kept for message in messages if (kept := known.clean(message, notes))]
    turns = _alternate(pair(_settled(clean, paused, notes), notes.add))
    turns = _from_user_to_user(turns, paused, notes)
    return fit_media(turns, images or ImageLimits(), notes.add), notes.found


def repair_texts(found: Counter[str]) -> tuple[str, ...]:
    """Return a text for each kind of repair."""
    return tuple(what if n == 1 else f"{what} ({n} times)" for what, n in found.items())


def for_model(
    messages: Sequence[Message],
    format: WireFormat,
    model: str,
    memo: Memo[Message, Message | None] | None = None,
    adapt: Callable[[Message], Message] = lambda message: message,
) -> Sequence[Message]:
    """A normalized history as one model takes it: turns of another format go as their blocks, and reasoning that was
    signed for another model is left out. The same guarantees hold; a history of this model alone is not changed.

    Args:
        messages: the history.
        format: the wire format of the model.
        model: its name.
        memo: what is known from earlier calls for this model.
        adapt: changes a message that is not in `memo`; what it returns is as normal as what it was given.
    """
    each = (Memo() if memo is None else memo).map(
        messages, lambda message: _fitted(adapt(message), format, model)
    )
    if all(map(operator.is_, each, messages)):
        return messages
    fitted = [kept for kept in each if kept is not None]
    notes = Notes()
    paused = bool(messages) and isinstance(messages[-1], AssistantMessage)
    return _from_user_to_user(_alternate(pair(fitted, notes.add)), paused, notes)


def _fitted(message: Message, format: WireFormat, model: str) -> Message | None:
    if isinstance(message, UserMessage) or message.native is None:
        return message
    native = None
    if message.native.format == format:
        native, _ = natives.normalize_items(message.native, model)
    return message if native is message.native else unless_empty(with_changes(message, native=native))


def _settled(messages: Sequence[Message], paused: bool, notes: Notes) -> list[Message]:
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
        turn = unless_empty(with_changes(message, native=native))
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


def _from_user_to_user(turns: list[Message], paused: bool, notes: Notes) -> list[Message]:
    if turns and isinstance(turns[0], AssistantMessage):
        turns = [UserMessage.of(BEGINNING), *turns]
        notes.add("the history began with an assistant message")
    if turns and isinstance(turns[-1], AssistantMessage) and not paused:
        turns = [*turns, UserMessage.of(CONTINUE)]
        notes.add("the history ended with an assistant message")
    return turns
