"""The history of one run, as the loop sees it: what is appended is kept, and what is sent is whole and fits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from agent_runtime.agent.model import ModelCall, Repair, Turn
from agent_runtime.conversation.compaction import Compactor
from agent_runtime.conversation.initial_history import InitialHistory
from agent_runtime.conversation.normalize import NormalizeCache, mend, normalize
from agent_runtime.conversation.tokens import Estimator
from agent_runtime.errors import ProviderError
from agent_runtime.protocol import events
from agent_runtime.protocol.messages import AssistantMessage, Message, Usage, UserMessage, WireFormat


@dataclass
class Conversation:
    """Messages, and how a request is made of them.

    Args:
        template: the call without messages: model, system prompt, tools, settings.
        format: the wire format that the call is meant for; None when fallbacks speak another one.
        window: tokens of the model's context.
        estimator: counts what the provider has not counted yet.
        compactor: keeps the history inside the window.
        history: the messages before the first turn, and the thread that stores what follows.
        notify: emits notices.
    """

    template: ModelCall
    format: WireFormat | None
    window: int
    estimator: Estimator
    compactor: Compactor
    history: InitialHistory
    notify: Callable[[events.NoticeEvent], Awaitable[None]]
    messages: list[Message] = field(default_factory=list)
    _paused: bool = False  # the last turn was `pause_turn`: it is sent back as it is
    _told: set[str] = field(default_factory=set)
    _memory: NormalizeCache = field(default_factory=NormalizeCache)

    def __post_init__(self) -> None:
        for message in self.history.messages:
            self.messages.append(message)
            self.estimator.add(message)
        if self.history.task:
            self.add(self.history.task)

    def add(self, message: UserMessage | Turn) -> None:
        """Append, in memory and in the thread."""
        if isinstance(message, Turn):
            self._paused = message.stop == "pause_turn"
            kept: Message = message.message
            self.estimator.observe(message.usage, kept)
            if isinstance(kept, AssistantMessage) and not kept.blocks and kept.native is None:
                return  # an empty answer is no turn that could be sent back
        else:
            self._paused, kept = False, message
            self.estimator.add(kept)
        self.messages.append(kept)
        self.history.keep(kept)

    async def call(self) -> ModelCall:
        """The next request: healed, and inside the window."""
        return replace(self.template, messages=await self._fitting(force=False))

    async def repair(self, call: ModelCall, error: ProviderError) -> Repair | None:
        """A call that may succeed where `call` was refused: shorter, or without what the error blames.

        What it changes is stored by `accept`, when the repaired call has succeeded; only a compacted history is
        stored at once. None when nothing can be changed. Raises ProviderError when it cannot be compacted.
        """
        if error.code == "context_overflow":
            return Repair(replace(call, messages=await self._fitting(force=True)))
        if error.code != "provider_error" or error.status not in (400, 404, 422):
            return None
        if refused := {tool.name for tool in call.tools if tool.hosted and tool.name in error.message}:
            return await self._without(refused, call)
        if (normalized := mend(call.messages, error.message)) is None:
            return None
        await self._tell(normalized.repairs)
        return Repair(replace(call, messages=normalized.messages), normalized.messages)

    async def accept(self, repair: Repair) -> None:
        """Keep what a repair has changed: the repaired call has succeeded."""
        if repair.messages is not None:
            self.messages = list(repair.messages)
            self.history.replace(self.messages)

    async def _without(self, refused: set[str], call: ModelCall) -> Repair:
        """Hosted tools that the account may not use are no reason to fail: go on without them."""
        names = ", ".join(sorted(refused))
        notice = f"{names} was left out: the provider refuses it"
        await self.notify(
            events.NoticeEvent(code="parameter_dropped", message=notice, details={"parameter": names})
        )
        kept = tuple(tool for tool in self.template.tools if tool.name not in refused)
        self.template = replace(self.template, tools=kept)
        return Repair(replace(call, tools=kept))

    async def _fitting(self, *, force: bool) -> tuple[Message, ...]:
        fitted, notice = await self.compactor.fit(self.messages, force)
        if notice is not None:
            self.messages = list(fitted)
            self.history.replace(fitted)
            self._memory = NormalizeCache()  # it would keep what was replaced alive
            await self.notify(notice)
        model = self.template.model if self.format else None
        healed = normalize(fitted, paused=self._paused, format=self.format, model=model, memory=self._memory)
        await self._tell(healed.repairs)
        return healed.messages

    async def _tell(self, repairs: tuple[str, ...]) -> None:
        if new := [repair for repair in repairs if repair not in self._told]:
            self._told.update(new)
            await self.notify(
                events.NoticeEvent(code="history_repaired", message="; ".join(new), details={"repairs": new})
            )

    async def usage(self, turn: Turn) -> Usage:
        """The provider's usage of the turn that was appended last; where it reported none, a count."""
        return turn.usage or await self.estimator.counted(turn.message)

    @property
    def context(self) -> tuple[int, int]:
        """Tokens in the context now, and the window."""
        return self.estimator.context, self.window

    @property
    def last_text(self) -> str:
        """The last thing the model said."""
        said = (message.text for message in reversed(self.messages) if isinstance(message, AssistantMessage))
        return next(filter(None, said), "")
