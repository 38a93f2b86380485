"""The ids of calls: each is unique in its conversation."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from agent_runtime.conversation.memo import Growth
from agent_runtime.protocol.messages import AssistantMessage, Message


class KnownIds:
    """The ids of the calls in a conversation that grows. Each message is looked at once."""

    def __init__(self) -> None:
        self._messages: Growth[Message] = Growth()
        self._ids: set[str] = set()

    def of(self, messages: Sequence[Message]) -> Collection[str]:
        """Return the ids of all calls in these messages. They hold until the next call of this method."""
        new = self._messages.since(messages)
        if new is None:
            self._ids, new = set(), messages
        turns = (message for message in new if isinstance(message, AssistantMessage))
        self._ids.update(call.id for turn in turns for call in turn.calls)
        return self._ids


class Ids:
    """Gives each call of an answer an id that no other call of the conversation has: the provider's, where that is
    usable.

    Deterministic, so that a replay arrives at the same ids.

    Args:
        known: those of the conversation so far.
        fits: a pattern for those that can be sent back.
    """

    def __init__(self, known: Collection[str], fits: str = r".+") -> None:
        self._known, self._taken = known, set[str]()
        self._number = len(known)
        self._fits = re.compile(fits, re.S)

    def take(self, id: object) -> str:
        """Return the id itself, or a new one when it is missing, taken, or unfit to be sent back."""
        if isinstance(id, str) and self._is_free(id) and self._fits.fullmatch(id):
            self._taken.add(id)
            return id
        while not self._is_free(made := f"call_{self._number:06d}"):
            self._number += 1
        self._taken.add(made)
        return made

    def _is_free(self, id: str) -> bool:
        return id not in self._known and id not in self._taken
