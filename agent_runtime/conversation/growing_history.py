"""Normalizes a history that grows by whole turns: only what is new since the last request is examined."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Sequence

from agent_runtime.conversation.clean_messages import NormalizeCache
from agent_runtime.conversation.image_limits import has_media
from agent_runtime.conversation.normalize import CONTINUE, NormalizedHistory, normalized, repair_texts
from agent_runtime.conversation.tool_pairs import portable_id
from agent_runtime.protocol.messages import AssistantMessage, Message, ToolResult, UserMessage

_ADDED = UserMessage.of(CONTINUE)
_START = UserMessage.of("start")  # stands for what comes before new turns


class GrowingHistory:
    """Returns what `normalize` would, for one history before each of its requests.

    New turns are normalized by themselves if nothing in them concerns older ones; otherwise the whole history is.
    """

    def __init__(self) -> None:
        self._cache = NormalizeCache()
        self._source: list[
            Message
        ] = []  # ends with a user's message: what follows cannot change its normal form
        self._done: list[Message] = []
        self._found: Counter[str] = Counter()
        self._ids: set[str] = set()  # of the calls

    def normalize(self, messages: Sequence[Message], *, paused: bool = False) -> NormalizedHistory:
        """Return the normalized history; see `normalize.normalize`."""
        new = self._new(messages)
        if new is not None:
            turns, found = normalized([_START, *new], paused=paused, cache=self._cache)
            if turns[0] is _START and (len(turns) == 1 or isinstance(turns[1], AssistantMessage)):
                return self._extended(new, turns[1:], found, paused=paused)
        turns, found = normalized(messages, paused=paused, cache=self._cache)
        self._source, self._done, self._found, self._ids = [], [], Counter(), set()
        return self._extended(messages, turns, found, paused=paused)

    def _extended(
        self, new: Sequence[Message], turns: Sequence[Message], found: Counter[str], *, paused: bool
    ) -> NormalizedHistory:
        result = NormalizedHistory((*self._done, *turns), repair_texts(self._found + found))
        if _is_settled(new) and _is_settled(turns) and turns[-1] != _ADDED:
            self._source += new
            self._done += turns
            self._found += found
            for message in (*new, *turns):
                self._ids |= _call_ids(message)
        return result

    def _new(self, messages: Sequence[Message]) -> list[Message] | None:
        """The messages after those that are normalized; None when these must be examined again."""
        known = len(self._source)
        if not known or len(messages) < known or not all(map(operator.is_, self._source, messages)):
            return None
        new = list(messages[known:])
        if new and not isinstance(new[0], AssistantMessage):
            return None
        ids = set[str]().union(*map(_call_ids, new))
        if not ids.isdisjoint(self._ids) or any(map(has_media, new)):
            return None
        return new if all(_is_answered_within(message, ids) for message in new) else None


def _is_settled(messages: Sequence[Message]) -> bool:
    """Return whether the last message is a user's, so that the next turn of the model stands by itself."""
    return bool(messages) and isinstance(messages[-1], UserMessage)


def _call_ids(message: Message) -> set[str]:
    if isinstance(message, UserMessage):
        return set()
    ids = {call.id for call in message.calls}
    return ids | set(map(portable_id, ids))


def _is_answered_within(message: Message, ids: set[str]) -> bool:
    """Return whether all results in the message, those of hosted calls too, belong to calls with these ids."""
    if isinstance(message, UserMessage):
        return all(block.id in ids for block in message.blocks if isinstance(block, ToolResult))
    return message.native is None or not any("tool_use_id" in item for item in message.native.items)
