"""The loop: model, tools, model, ... until the model has finished or a limit ends the run.

Everything it uses is passed in: the loop knows no provider, tool, tracker or transcript. It returns a `LoopResult`.
A failed model call raises ProviderError and a cancel raises anyio's cancellation; `engine` reports both.
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

MAX_CUT_CALLS = 3  # turns in a row whose tool calls were cut by the output limit, before the run is given up

EMPTY_ANSWER = (
    "<system-reminder>Your last answer was empty. If the task is done, state the result; otherwise continue."
    "</system-reminder>"
)


@dataclass(frozen=True)
class LoopResult:
    """Why a run is over, and the model's final answer."""

    stop: events.StopReason
    output: str
    detail: str = ""  # for the `error` event, when `stop` is not "end_turn"


class Conversation(Protocol):
    """The history, kept inside the model's window."""

    def add(self, message: UserMessage | Turn) -> None:
        """Append; what is appended is kept even when the run ends at this point."""
        ...

    async def call(self) -> ModelCall:
        """The next request. Raises ProviderError("context_overflow") when nothing makes it fit."""
        ...

    async def usage(self, turn: Turn) -> Usage:
        """The turn's usage: the provider's, or a count where it reported none."""
        ...

    @property
    def context(self) -> tuple[int, int]:
        """Tokens in the context now, and the size of the window."""
        ...


class Executor(Protocol):
    """Runs tool calls, reports them, and answers each of them exactly once, cancelled or not."""

    async def execute(self, calls: Sequence[ToolCall], turn: int, results: list[ToolResult]) -> None:
        """Append a result for every call to `results`, also when this is cancelled half-way."""
        ...


class Inbox(Protocol):
    """What the caller says while the run goes on."""

    @property
    def pending(self) -> bool:
        """Is there something that the model has not been given?"""
        ...

    async def ready(self) -> None:
        """Returns when the run is not paused."""
        ...

    def take(self) -> list[str]:
        """What has come in, oldest first."""
        ...


@dataclass
class Loop:
    """What the loop is given."""

    model: Model
    conversation: Conversation
    executor: Executor
    inbox: Inbox
    budget: Budget
    emit: Callable[[events.Event], Awaitable[None]]
    deltas: Callable[[int], OnDelta]
    awaiting: Callable[[str], None]


async def run_loop(loop: Loop) -> LoopResult:
    """Take turns until the run is over."""
    cut_in_a_row = 0
    output = ""
    asked_again = False
    for number in itertools.count(1):
        await before_turn(loop)
        if limit := loop.budget.reached():
            return LoopResult(limit, output, reached(limit, loop.budget))
        loop.awaiting("model")
        turn = await loop.model.turn(await loop.conversation.call(), loop.deltas(number))
        loop.conversation.add(turn)
        goes_on = bool(turn.message.calls) or turn.stop == "pause_turn" or loop.inbox.pending
        await report(loop, turn, number, texts=goes_on)
        output = turn.message.text if turn.message.text.strip() else output
        cut_in_a_row = cut_in_a_row + 1 if any(call.truncated for call in turn.message.calls) else 0
        if turn.stop == "refusal":
            return LoopResult("refusal", output, turn.refusal or "the model refused to go on")
        if turn.message.calls:
            await use_tools(loop, turn, number)
            if cut_in_a_row >= MAX_CUT_CALLS:
                return LoopResult(
                    "max_tokens", output, f"{cut_in_a_row} turns in a row were cut inside a tool call"
                )
        elif turn.stop == "max_tokens":
            return LoopResult("max_tokens", output, "the answer was cut by the output limit of a model call")
        elif turn.stop == "context_overflow":
            return LoopResult("context_overflow", output, "the model's context window is full")
        elif turn.stop != "pause_turn" and not loop.inbox.pending:
            if turn.message.text.strip():
                return LoopResult("end_turn", turn.message.text)
            if asked_again or loop.budget.reached():
                return await end_empty(loop, turn, output)
            loop.conversation.add(UserMessage.of(EMPTY_ANSWER))
        elif not goes_on:  # steering has come while the turn was reported
            await say(loop, turn.message.text, number)
        asked_again = is_empty(turn)
    raise AssertionError("unreachable")


def is_empty(turn: Turn) -> bool:
    """Has the model ended its turn without an answer? Reasoning alone is not one."""
    return turn.stop == "end_turn" and not turn.message.calls and not turn.message.text.strip()


async def end_empty(loop: Loop, turn: Turn, output: str) -> LoopResult:
    """The end of a run whose last answer is empty: its last text is the output.

    Without any text it is a failure, unless the provider's models end their turns so on purpose.
    """
    if not output and not turn.may_be_empty:
        return LoopResult("error", output, "the model has ended its turn without an answer")
    message = "the model has ended its turn without an answer; the output is its last text"
    await loop.emit(events.NoticeEvent(code="empty_answer", message=message))
    return LoopResult("end_turn", output)


async def before_turn(loop: Loop) -> None:
    """Wait while paused; give the model what the caller said, and say once when a limit is near."""
    loop.awaiting("resume")
    await loop.inbox.ready()
    for text in loop.inbox.take():
        loop.conversation.add(UserMessage.of(text))
    for name, warning in loop.budget.near().items():
        loop.conversation.add(UserMessage.of(f"<system-reminder>{warning}</system-reminder>"))
        await loop.emit(events.NoticeEvent(code="limit_near", message=warning, details={"limit": name}))


async def report(loop: Loop, turn: Turn, number: int, *, texts: bool) -> None:
    """Emit what the model thought, what it said before or between its calls (`texts`), and what it used.

    The final answer is left to `complete`.
    """
    for block in turn.message.blocks:
        if isinstance(block, Thinking) and block.text.strip():
            await loop.emit(events.ThinkingEvent(content=block.text, kind="reasoning", turn=number))
        elif isinstance(block, Text) and texts:
            await say(loop, block.text, number)
    usage = await loop.conversation.usage(turn)
    loop.budget.spend(usage)
    await loop.emit(usage_report(usage, number, loop.conversation.context))


async def say(loop: Loop, text: str, number: int) -> None:
    """Emit what the model said, when it is not its final answer."""
    if text.strip():
        await loop.emit(events.ThinkingEvent(content=text, kind="text", turn=number))


def reached(limit: LimitName, budget: Budget) -> str:
    """What the `error` event says of a limit."""
    spent = {
        "max_turns": f"{budget.turns} model calls",
        "max_total_tokens": f"{budget.usage.total_tokens} tokens",
    }
    return f"the run has reached {limit}: {spent.get(limit, '')} are used"


async def use_tools(loop: Loop, turn: Turn, number: int) -> None:
    """Run the turn's calls. Their results go into the history even when the run is cancelled meanwhile."""
    results: list[ToolResult] = []
    try:
        await loop.executor.execute(turn.message.calls, number, results)
    finally:
        loop.conversation.add(UserMessage(blocks=tuple(results)))
