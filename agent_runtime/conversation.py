"""The history of one run, as the loop sees it: what is appended is kept, and what is sent is whole and fits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from agent_runtime import events
from agent_runtime.history import heal
from agent_runtime.messages import AssistantMessage, Message, Usage, UserMessage
from agent_runtime.provider import ModelCall, Turn
from agent_runtime.tokens import Estimator


class Fitter(Protocol):
    """Keeps a history inside the window; see compaction.Compactor."""

    async def fit(self, messages: Sequence[Message], force: bool = False) -> tuple[list[Message], events.Notice | None]:
        """The messages that fit, and what to say when something was cut."""
        ...


@dataclass
class Conversation:
    """Messages, and how a request is made of them.

    Args:
        template: the call without messages: model, system prompt, tools, settings.
        window: tokens of the model's context.
        estimator: counts what the provider has not counted yet.
        fitter: see Fitter.
        keep: called with every message that is appended (the thread's file); it must not fail.
        notify: emits notices.
        messages: the history so far.
    """

    template: ModelCall
    window: int
    estimator: Estimator
    fitter: Fitter
    keep: Callable[[Message], None]
    notify: Callable[[events.Notice], Awaitable[None]]
    messages: list[Message] = field(default_factory=list)
    _told: set[str] = field(default_factory=set)

    def add(self, message: UserMessage | Turn) -> None:
        """Append, in memory and in the thread."""
        kept = message.message if isinstance(message, Turn) else message
        if isinstance(message, Turn):
            self.estimator.observe(message.usage, kept)
        else:
            self.estimator.add(kept)
        if isinstance(kept, AssistantMessage) and not kept.blocks and kept.native is None:
            return
        self.messages.append(kept)
        self.keep(kept)

    async def call(self) -> ModelCall:
        """The next request: healed, and inside the window."""
        return replace(self.template, messages=await self._fitting(force=False))

    async def harder(self, call: ModelCall) -> ModelCall:
        """The same request once more, cut harder: the provider has said that it is too long."""
        return replace(call, messages=await self._fitting(force=True))

    async def _fitting(self, *, force: bool) -> list[Message]:
        fitted, notice = await self.fitter.fit(self.messages, force)
        if notice is not None:
            self.messages = list(fitted)
            await self.notify(notice)
        healed = heal(fitted)
        if new := [repair for repair in healed.repairs if repair not in self._told]:
            self._told.update(new)
            await self.notify(events.Notice(code="history_repaired", message="; ".join(new), details={"repairs": new}))
        return list(healed.messages)

    def usage(self, turn: Turn) -> Usage:
        """The provider's usage; where it reported none, a count."""
        return turn.usage or self.estimator.counted(turn.message)

    @property
    def context(self) -> tuple[int, int]:
        """Tokens in the context now, and the window."""
        return self.estimator.context, self.window
