"""The agent loop: model, tools, model, ... until the model has finished or a limit ends the run.

Everything it uses is passed in: the loop does not know providers, tools or transcripts. It returns a `LoopResult`.
A failed model call raises ProviderError, and cancelling the run raises anyio's cancellation; `engine` reports both.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent_runtime.agent.limits import Budget, LimitName
from agent_runtime.agent.model import Model, ModelCall, OnDelta, Turn
from agent_runtime.protocol import events
from agent_runtime.protocol.events import usage_report
from agent_runtime.protocol.messages import Text, Thinking, ToolCall, ToolResult, Usage, UserMessage

MAX_CUT_CALLS = (
    3  # consecutive turns with tool calls that were truncated by the output limit, before the run ends
)

EMPTY_ANSWER = (
    "<system-reminder>Your last answer was empty. If the task is done, state the result; otherwise continue."
    "</system-reminder>"
)


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


async def run_loop(loop: Loop) -> LoopResult:
    """Run turns until the model has finished or a limit is reached. Raises ProviderError when a model call fails."""
    cut_in_a_row = 0
    output = ""
    asked_again = False
    for number in itertools.count(1):
        await before_turn(loop)
        call = await next_call(loop)
        if not isinstance(call, ModelCall):
            return LoopResult(call, output, reached(call, loop.budget))
        turn = await loop.model.turn(call, loop.deltas(number))
        loop.conversation.add(turn)
        goes_on = bool(turn.message.calls) or turn.stop == "pause_turn" or loop.inbox.pending
        await report(loop, turn, number, texts=goes_on)
        output = turn.message.text if turn.message.text.strip() else output
        cut_in_a_row = cut_in_a_row + 1 if any(call.truncated for call in turn.message.calls) else 0
        if turn.stop == "refusal":
            return LoopResult("refusal", output, turn.refusal or "the model refused to continue")
        if turn.message.calls:
            await use_tools(loop, turn, number)
            if cut_in_a_row >= MAX_CUT_CALLS:
                return LoopResult(
                    "max_tokens",
                    output,
                    f"{cut_in_a_row} consecutive turns were truncated inside a tool call",
                )
        elif turn.stop == "max_tokens":
            return LoopResult(
                "max_tokens", output, "the answer was truncated by the output limit of a model call"
            )
        elif turn.stop == "context_overflow":
            return LoopResult("context_overflow", output, "the model's context window is full")
        elif turn.stop != "pause_turn" and not loop.inbox.pending:
            if turn.message.text.strip():
                return LoopResult("end_turn", turn.message.text)
            if asked_again or loop.budget.reached():
                return await end_empty(loop, turn, output)
            loop.conversation.add(UserMessage.of(EMPTY_ANSWER))
        elif not goes_on:  # user input has arrived while the turn was reported
            await say(loop, turn.message.text, number)
        asked_again = is_empty(turn)
    raise AssertionError("unreachable")


def is_empty(turn: Turn) -> bool:
    """Return whether the model has ended its turn without an answer. Reasoning is not an answer."""
    return turn.stop == "end_turn" and not turn.message.calls and not turn.message.text.strip()


async def end_empty(loop: Loop, turn: Turn, output: str) -> LoopResult:
    """Return the result of a run whose last answer is empty: the last text of the model is the output.

    Without any text the run has failed, unless the provider's models may end a task without a text.
    """
    if not output and not turn.may_be_empty:
        return LoopResult("error", output, "the model has ended its turn without an answer")
    message = "the model has ended its turn without an answer; the output is its last text"
    await loop.emit(events.NoticeEvent(code="empty_answer", message=message))
    return LoopResult("end_turn", output)


async def before_turn(loop: Loop) -> None:
    """Wait while paused, then append the user input and the warnings about limits to the conversation."""
    loop.awaiting("resume")
    await loop.inbox.ready()
    for text in loop.inbox.take():
        loop.conversation.add(UserMessage.of(text))
    for name, warning in loop.budget.near().items():
        loop.conversation.add(UserMessage.of(f"<system-reminder>{warning}</system-reminder>"))
        await loop.emit(events.NoticeEvent(code="limit_near", message=warning, details={"limit": name}))


async def next_call(loop: Loop) -> ModelCall | LimitName:
    """Return the next request, or the limit that allows none. Raises ProviderError; see Conversation.call."""
    if limit := loop.budget.reached():
        return limit
    loop.awaiting("model")
    call = await loop.conversation.call()
    if await loop.costs.exceeds(loop.conversation.context[0]):
        return "max_cost"
    return call


async def report(loop: Loop, turn: Turn, number: int, *, texts: bool) -> None:
    """Emit the model's reasoning, the text before or between its calls (when `texts` is set), and its usage.

    The final answer is part of the `complete` event.
    """
    for block in turn.message.blocks:
        if isinstance(block, Thinking) and block.text.strip():
            await loop.emit(events.ThinkingEvent(content=block.text, kind="reasoning", turn=number))
        elif isinstance(block, Text) and texts:
            await say(loop, block.text, number)
    usage = await loop.conversation.usage(turn)
    cost = await loop.costs.cost(usage)
    loop.budget.spend(usage, cost)
    await loop.emit(usage_report(usage, number, loop.conversation.context, cost))


async def say(loop: Loop, text: str, number: int) -> None:
    """Emit a text of the model that is not its final answer."""
    if text.strip():
        await loop.emit(events.ThinkingEvent(content=text, kind="text", turn=number))


def reached(limit: LimitName, budget: Budget) -> str:
    """Return the message of the `error` event for a limit that was reached."""
    spent = {
        "max_turns": f"{budget.turns} model calls",
        "max_total_tokens": f"{budget.usage.total_tokens} tokens",
        "max_cost": f"{budget.cost or 0:.6g} of {budget.limits.max_cost or 0:g} US dollars",
    }
    return f"the run has reached {limit}: {spent.get(limit, '')} are used"


async def use_tools(loop: Loop, turn: Turn, number: int) -> None:
    """Run the turn's calls. Their results are added to the conversation even when the run is cancelled."""
    results: list[ToolResult] = []
    try:
        await loop.executor.execute(turn.message.calls, number, results)
    finally:
        loop.conversation.add(UserMessage(blocks=tuple(results)))
