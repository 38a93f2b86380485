"""What the agent loop uses and returns: interfaces of the services around it, and its result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from agent_runtime.agent.limits import Budget
from agent_runtime.agent.model import Model, ModelCall, OnDelta, Turn
from agent_runtime.lazy import dataclass
from agent_runtime.protocol import events
from agent_runtime.protocol.messages import ToolCall, ToolResult, Usage, UserMessage


@dataclass(frozen=True)
class LoopResult:
    """Why the loop has ended, and the model's final answer."""

    stop: events.StopReason
    output: str
    detail: str = ""  # for the `error` event, when `stop` is not "end_turn"


class Conversation(Protocol):
    """The history, kept inside the model's window."""

    def add(self, message: UserMessage | Turn) -> None:
        """Append a message. It is kept even when the run ends at this point."""
        ...

    async def call(self) -> ModelCall:
        """Return the next request. Raises ProviderError("context_overflow") when it cannot be made to fit."""
        ...

    async def usage(self, turn: Turn) -> Usage:
        """Return the turn's usage as the provider reported it, or an estimate where it reported none."""
        ...

    @property
    def context(self) -> tuple[int, int]:
        """The tokens in the context, and the size of the window."""
        ...


class Costs(Protocol):
    """Prices model calls; see engine.costs.CostMeter."""

    async def cost(self, usage: Usage) -> float | None:
        """Return what a call with this usage cost in US dollars; None when the price is not known."""
        ...

    async def exceeds(self, tokens: int) -> bool:
        """Return whether a call with `tokens` of input would pass the limit of the run's cost."""
        ...


class Answers(Protocol):
    """Checks the final answer of a run that has a schema for it; see conversation.answers.AnswerCheck."""

    @property
    def failure(self) -> str | None:
        """What is wrong with the last answer, when no other one is asked for; else None."""
        ...

    def offer(self, text: str) -> str | None:
        """Take an answer. Returns None when it is accepted, else what is wrong with it, for the model."""
        ...

    def take(self) -> str | None:
        """Return the text of the answer that was accepted since the last call; None when there is none."""
        ...


class Questions(Protocol):
    """Questions to the user; see engine.user.UserDialogue."""

    def take_suspended(self) -> bool:
        """Return whether a question was asked, since the last call, that the next run of the thread answers."""
        ...


class Executor(Protocol):
    """Runs tool calls, reports them, and answers each of them exactly once, cancelled or not."""

    async def execute(self, calls: Sequence[ToolCall], turn: int, results: list[ToolResult]) -> None:
        """Append a result for every call to `results`, also when this call is cancelled."""
        ...


class Inbox(Protocol):
    """User input during the run; see inbox.Inbox."""

    @property
    def pending(self) -> bool:
        """Whether a message waits to be sent to the model."""
        ...

    async def ready(self) -> None:
        """Wait until the run is not paused."""
        ...

    def take(self) -> list[str]:
        """Remove and return the pending messages, oldest first."""
        ...


@dataclass
class Loop:
    """The dependencies of the loop.

    Args:
        emit: emits an event.
        deltas: returns, for the number of a turn, the function that takes the turn's deltas.
        awaiting: called with "model" or "resume" when the run starts to wait for it.
        answers: checks the final answer; None when it may be any text.
        questions: None when the model cannot ask any.
    """

    model: Model
    conversation: Conversation
    executor: Executor
    inbox: Inbox
    budget: Budget
    costs: Costs
    emit: Callable[[events.Event], Awaitable[None]]
    deltas: Callable[[int], OnDelta]
    awaiting: Callable[[str], None]
    answers: Answers | None = None
    questions: Questions | None = None
