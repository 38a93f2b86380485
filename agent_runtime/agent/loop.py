"""The agent loop: model, tools, model, ... until the model has finished or a limit ends the run.

Everything it uses is passed in: the loop does not know providers, tools or transcripts. It returns a `LoopResult`.
A failed model call raises ProviderError, and cancelling the run raises anyio's cancellation; `engine` reports both.
"""

from __future__ import annotations

import itertools

from agent_runtime.agent.limits import Budget, LimitName
from agent_runtime.agent.loop_services import Loop, LoopResult
from agent_runtime.agent.model import ModelCall, Turn
from agent_runtime.protocol import events
from agent_runtime.protocol.events import usage_report
from agent_runtime.protocol.messages import Text, Thinking, ToolResult, UserMessage

# consecutive turns with tool calls that were truncated by the output limit, before the run ends
MAX_CUT_CALLS = 3

EMPTY_ANSWER = (
    "<system-reminder>Your last answer was empty. If the task is done, state the result; otherwise continue."
    "</system-reminder>"
)


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
            if loop.questions and loop.questions.take_suspended() and not loop.inbox.pending:
                return LoopResult("question", output)
            ended = given_by_call(loop, output)
            if ended is None and cut_in_a_row >= MAX_CUT_CALLS:
                detail = f"{cut_in_a_row} consecutive turns were truncated inside a tool call"
                ended = LoopResult("max_tokens", output, detail)
        else:
            ended = await without_calls(loop, turn, number, output, asked_again=asked_again, reported=goes_on)
        if ended:
            return ended
        asked_again = is_empty(turn)
    raise AssertionError("unreachable")


async def without_calls(
    loop: Loop, turn: Turn, number: int, output: str, *, asked_again: bool, reported: bool
) -> LoopResult | None:
    """Return the result of a run whose model has ended its turn; None when it goes on.

    Args:
        loop: the dependencies of the loop.
        turn: has no tool calls.
        number: of the turn.
        output: the last text of the model.
        asked_again: the turn before was empty, and the model was asked for an answer.
        reported: the text of the turn was emitted.
    """
    if turn.stop == "max_tokens":
        return LoopResult(
            "max_tokens", output, "the answer was truncated by the output limit of a model call"
        )
    if turn.stop == "context_overflow":
        return LoopResult("context_overflow", output, "the model's context window is full")
    if turn.stop == "pause_turn" or loop.inbox.pending:
        if not reported:  # user input has arrived while the turn was reported
            await say(loop, turn.message.text, number)
        return None
    if turn.message.text.strip():
        return await given_as_text(loop, turn.message.text, number)
    if asked_again or loop.budget.reached():
        return await end_empty(loop, turn, output)
    loop.conversation.add(UserMessage.of(EMPTY_ANSWER))
    return None


async def given_as_text(loop: Loop, text: str, number: int) -> LoopResult | None:
    """Return the result of a run whose model has written its final answer; None when it has to write another one."""
    if loop.answers is None:
        return LoopResult("end_turn", text)
    wrong = loop.answers.offer(text)
    if wrong is None:
        return LoopResult("end_turn", loop.answers.take() or text)
    if loop.answers.failure is not None:
        return LoopResult("invalid_output", text, loop.answers.failure)
    await say(loop, text, number)
    loop.conversation.add(UserMessage.of(f"<system-reminder>{wrong}</system-reminder>"))
    return None


def given_by_call(loop: Loop, output: str) -> LoopResult | None:
    """Return the result of a run whose model has given its final answer by a tool call; None when it goes on."""
    if loop.answers is None:
        return None
    answer = loop.answers.take()
    if answer is not None and not loop.inbox.pending:
        return LoopResult("end_turn", answer)
    failure = loop.answers.failure
    return None if failure is None else LoopResult("invalid_output", output, failure)


def is_empty(turn: Turn) -> bool:
    """Return whether the model has ended its turn without an answer. Reasoning is not an answer."""
    return turn.stop == "end_turn" and not turn.message.calls and not turn.message.text.strip()


async def end_empty(loop: Loop, turn: Turn, output: str) -> LoopResult:
    """Return the result of a run whose last answer is empty: the last text of the model is the output.

    Without any text the run has failed, unless the provider's models may end a task without a text.
    """
    if loop.answers is not None:
        return LoopResult("invalid_output", output, "the model has ended its turn without an answer")
    if not output and not turn.may_be_empty:
        return LoopResult("error", output, "the model has ended its turn without an answer")
    what = (
        "the output is its last text" if output else "it has written no text at all, so the output is empty"
    )
    message = f"the model has ended its turn without an answer; {what}"
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
