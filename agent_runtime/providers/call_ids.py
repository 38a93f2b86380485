"""The ids of calls, of which each is unique in its conversation."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from agent_runtime.conversation.memo import Memo
from agent_runtime.protocol.messages import AssistantMessage, Message, ToolCall


class KnownIds:
    """The ids of the calls in a conversation that grows. Each message is looked at once."""

    def __init__(self) -> None:
        self._messages: Memo[Message, None] = Memo()
        self._ids: set[str] = set()

    def of(self, messages: Sequence[Message]) -> Collection[str]:
        """Return the ids of all calls in these messages. They hold until the next call of this method."""
        if not self._messages.is_extended_by(messages):
            self._messages, self._ids = Memo(), set()
        self._messages.map(messages, self._add)
        return self._ids

    def _add(self, message: Message) -> None:
        if isinstance(message, AssistantMessage):
            self._ids.update(block.id for block in message.blocks if isinstance(block, ToolCall))


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
