"""The history of one run: stores what is appended, and creates requests that are valid and fit the model's window."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field, replace

from agent_runtime.agent.model import ModelCall, Repair, Turn
from agent_runtime.conversation.compaction import Compactor, ContextLimits
from agent_runtime.conversation.growing_history import GrowingHistory
from agent_runtime.conversation.initial_history import InitialHistory
from agent_runtime.conversation.rejected import Rejection, drop_rejected
from agent_runtime.conversation.tokens import Estimator
from agent_runtime.errors import ProviderError
from agent_runtime.lazy import dataclass
from agent_runtime.protocol import events
from agent_runtime.protocol.messages import AssistantMessage, Message, Usage, UserMessage


@dataclass
class Conversation:
    """The messages of a run, and the requests that are built from them.

    Args:
        template: the call without messages: model, system prompt, tools, settings.
        limits: gives the context limits of the model in use; a fallback changes them.
        estimator: counts what the provider has not counted yet.
        compactor: keeps the history inside the window.
        history: the messages before the first turn, and the thread that stores what follows.
        notify: emits notices.
    """

    template: ModelCall
    limits: Callable[[], ContextLimits]
    estimator: Estimator
    compactor: Compactor
    history: InitialHistory
    notify: Callable[[events.NoticeEvent], Awaitable[None]]
    messages: list[Message] = field(default_factory=list)
    _model: int = 0  # the one that the estimate is for; see ContextLimits
    _sent: Sequence[Message] = ()  # of the last call that was made here
    _paused: bool = False  # the last turn was `pause_turn`: it is sent back as it is
    _reported: set[str] = field(default_factory=set)
    _growing: GrowingHistory = field(default_factory=GrowingHistory)

    def __post_init__(self) -> None:
        for message in self.history.messages:
            self.messages.append(message)
            self.estimator.add(message)
        if self.history.task:
            self.add(self.history.task)

    def add(self, message: UserMessage | Turn) -> None:
        """Append a message, in memory and in the thread."""
        if isinstance(message, Turn):
            self._paused = message.stop == "pause_turn"
            kept: Message = message.message
            self.estimator.observe(message.usage, kept)
            if isinstance(kept, AssistantMessage) and not kept.blocks and kept.native is None:
                return  # an empty answer cannot be sent back
        else:
            self._paused, kept = False, message
            self.estimator.add(kept)
        self.messages.append(kept)
        self.history.keep(kept)

    async def call(self) -> ModelCall:
        """Return the next request: normalized, and inside the window.

        Raises ProviderError when it cannot be made to fit.
        """
        return replace(self.template, messages=await self._fitting(force=False))

    async def refit(self, call: ModelCall) -> ModelCall:
        """Return a call again, inside the window of the model in use: it was made for another one.

        A call whose messages are not those of the conversation is returned as it is. Raises ProviderError when it
        cannot be made to fit.
        """
        if call.messages is not self._sent:
            return call
        return replace(call, messages=await self._fitting(force=False))

    async def repair(self, call: ModelCall, error: ProviderError, *, again: bool = False) -> Repair | None:
        """Return a call that may succeed where `call` was refused: shorter, or without what caused the error.

        What it changes is stored by `accept`, when the repaired call has succeeded; only a compacted history is
        stored at once. None when nothing can be changed. Raises ProviderError when it cannot be compacted.

        Args:
            call: as it was refused.
            error: names what was refused.
            again: leaving out what stands at the named place was not enough: leave out all of that kind.
        """
        if error.code == "context_overflow":
            return Repair(replace(call, messages=await self._fitting(force=True)))
        if error.code != "provider_error" or error.status not in (400, 404, 422):
            return None
        if refused := {tool.name for tool in call.tools if tool.hosted and tool.name in error.message}:
            return await self._without(refused, call)
        rejection = Rejection(error.message, str(error.details.get("param") or ""), bool(call.system.strip()))
        if (normalized := drop_rejected(call.messages, rejection, everywhere=again)) is None:
            return None
        await self._report(normalized.repairs)
        return Repair(replace(call, messages=normalized.messages), normalized.messages)

    async def accept(self, repair: Repair) -> None:
        """Keep the changes of a repaired call that has succeeded."""
        if repair.messages is not None:
            self.messages = list(repair.messages)
            self.history.replace(self.messages)

    async def _without(self, refused: set[str], call: ModelCall) -> Repair:
        """Continue without hosted tools that the account may not use."""
        names = ", ".join(sorted(refused))
        notice = f"{names}: the provider refuses it; continuing without it"
        await self.notify(
            events.NoticeEvent(code="parameter_dropped", message=notice, details={"parameter": names})
        )
        remaining = tuple(tool for tool in self.template.tools if tool.name not in refused)
        self.template = replace(self.template, tools=remaining)
        return Repair(replace(call, tools=remaining))

    async def _fitting(self, *, force: bool) -> tuple[Message, ...]:
        if (model := self.limits().model) != self._model:
            self._model = model
            self.estimator.renew(self.messages)
        fitted, notice = await self.compactor.fit(self.messages, force)
        if notice is not None:
            self.messages = list(fitted)
            self.history.replace(fitted)
            self._growing = GrowingHistory()  # the old one keeps the replaced messages alive
            await self.notify(notice)
        normalized = self._growing.normalize(fitted, paused=self._paused)
        await self._report(normalized.repairs)
        self._sent = normalized.messages
        return normalized.messages

    async def _report(self, repairs: tuple[str, ...]) -> None:
        if new := [repair for repair in repairs if repair not in self._reported]:
            self._reported.update(new)
            await self.notify(
                events.NoticeEvent(code="history_repaired", message="; ".join(new), details={"repairs": new})
            )

    async def usage(self, turn: Turn) -> Usage:
        """Return the provider's usage of the turn that was appended last, completed by estimates where it reported
        none.
        """
        reported = turn.usage
        if reported and self.estimator.is_counted:
            return reported
        counted = await self.estimator.counted(turn.message)
        if reported is None:
            return counted
        if reported.input_tokens:  # the provider's statement, although the context is known to be larger
            return reported
        return counted.model_copy(update={"output_tokens": reported.output_tokens or counted.output_tokens})

    @property
    def context(self) -> tuple[int, int]:
        """The tokens in the context, and the window of the model in use."""
        return self.estimator.context, self.limits().window

    @property
    def last_text(self) -> str:
        """The last text of the model."""
        turns = (message for message in reversed(self.messages) if isinstance(message, AssistantMessage))
        return next((turn.text for turn in turns if turn.text), "")
