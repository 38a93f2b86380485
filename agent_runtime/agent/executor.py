"""Runs the tool calls of a turn: each call is reported, observed, limited in time, and answered exactly once.

A call that is truncated, malformed or names an unknown tool is answered without being run. When the run is
cancelled, the running call is answered with its output so far, and the calls after it as not started.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import anyio

from agent_runtime.agent.call_events import call_event, result_event
from agent_runtime.agent.services import OnOutput
from agent_runtime.agent.tool import Tool, ToolContext
from agent_runtime.errors import AgentRuntimeError, ToolError
from agent_runtime.lazy import dataclass
from agent_runtime.protocol import events
from agent_runtime.protocol.messages import NO_OUTPUT, Text, ToolCall, ToolResult, clean_text
from agent_runtime.protocol.tool_output import ToolOutput

log = logging.getLogger(__name__)

SAFETY_SECONDS = 3600.0  # for a tool without a time limit of its own


@dataclass(frozen=True)
class CallInfo:
    """A tool call of a turn, and the tool it names (None when there is no such tool)."""

    call: ToolCall
    tool: Tool | None
    turn: int


class CallObserver(Protocol):
    """Follows tool calls. Recording, delta events and change tracking are observers."""

    @property
    def wants_output(self) -> bool:
        """Whether `on_output` is to be called. Following the output of a running command has a cost."""
        ...

    async def before(self, info: CallInfo) -> None:
        """The call is about to run. Not called for calls that are answered without being run."""
        ...

    async def on_output(self, info: CallInfo, piece: str) -> None:
        """The running call has printed something."""
        ...

    async def after(self, info: CallInfo, output: ToolOutput, seconds: float) -> ToolOutput:
        """The call has its output, `seconds` after its start. Returns the output, with what is to be added to it."""
        ...


class CallContexts(Protocol):
    """Creates the context that a tool runs in, and keeps the output of interrupted calls."""

    def context(self, call: ToolCall, turn: int, on_output: OnOutput | None) -> ToolContext:
        """Return the context of one call of a turn."""
        ...

    def partial(self, call_id: str) -> ToolOutput | None:
        """Return the output of a call up to its cancellation; once only, then None."""
        ...


@dataclass
class ToolExecutor:
    """Executes calls with the given tools.

    Args:
        tools: the tools, by name.
        contexts: creates the context of each call.
        observer: is notified of each call.
        emit: emits an event.
        gate: awaited before each batch of calls (a paused run waits there).
        awaiting: called with "tool" when the run starts to wait for a tool.
        parallel: whether calls of one turn may run concurrently.
        unbounded: the names of tools that may take any time, because they wait for the user.
    """

    tools: Mapping[str, Tool]
    contexts: CallContexts
    observer: CallObserver
    emit: Callable[[events.Event], Awaitable[None]]
    gate: Callable[[], Awaitable[None]]
    awaiting: Callable[[str], None]
    parallel: bool = True
    unbounded: Collection[str] = ()

    async def execute(self, calls: Sequence[ToolCall], turn: int, results: list[ToolResult]) -> None:
        """Run the calls in order; adjacent calls that allow it run concurrently. See loop.Executor."""
        answered: dict[int, ToolResult] = {}
        reported: set[int] = set()
        try:
            for batch in self._batches(calls):
                await self.gate()
                self.awaiting("tool")
                await self._run_batch(batch, turn, answered, reported)
        finally:
            with anyio.CancelScope(shield=True):
                await self._answer_the_rest(calls, turn, answered, reported)
            results.extend(answered[index] for index in range(len(calls)))

    def _batches(self, calls: Sequence[ToolCall]) -> Iterator[list[tuple[int, ToolCall]]]:
        """Yield batches of calls with their indexes: adjacent calls that may run concurrently form one batch."""
        batch: list[tuple[int, ToolCall]] = []
        for index, call in enumerate(calls):
            if batch and not (self._may_share(call) and self._may_share(batch[-1][1])):
                yield batch
                batch = []
            batch.append((index, call))
        if batch:
            yield batch

    def _may_share(self, call: ToolCall) -> bool:
        tool = self.tools.get(call.name)
        return self.parallel and tool is not None and tool.parallel

    async def _run_batch(
        self,
        batch: list[tuple[int, ToolCall]],
        turn: int,
        answered: dict[int, ToolResult],
        reported: set[int],
    ) -> None:
        for index, call in batch:
            reported.add(index)
            await self.emit(call_event(call, turn))
        async with anyio.create_task_group() as group:
            for index, call in batch:
                group.start_soon(self._run_one, index, call, turn, answered)

    async def _run_one(self, index: int, call: ToolCall, turn: int, answered: dict[int, ToolResult]) -> None:
        started = anyio.current_time()  # without frozen time
        info = CallInfo(call, self.tools.get(call.name), turn)
        output = None
        try:
            output = await self._output(info)
        finally:
            if output is None:  # cancelled while it ran
                printed = self.contexts.partial(call.id)
                output = printed or ToolOutput.of("[the run was cancelled while this call ran]")
                output = replace(output, is_error=True, outcome="cancelled")
            with anyio.CancelScope(shield=True):
                answered[index] = await self._answer(info, output, anyio.current_time() - started)

    async def _output(self, info: CallInfo) -> ToolOutput:
        """Run the call; a failure becomes an output that says what was expected."""
        call, tool = info.call, info.tool
        if tool is None:
            known = ", ".join(sorted(self.tools))
            return _refused(f"There is no tool named {call.name!r}. The tools are: {known}.")
        if call.truncated:
            return _refused(_CUT, outcome="not_started")
        if call.input is None:
            arguments, schema = call.arguments[:2000], json.dumps(tool.spec().parameters)
            return _refused(
                f"The arguments are not a JSON object, so the call was not run: {arguments}\n"
                f"Expected JSON Schema: {schema}"
            )
        on_output = partial(self.observer.on_output, info) if self.observer.wants_output else None
        context = self.contexts.context(call, info.turn, on_output)
        log.debug("turn %d: %s %s", info.turn, call.name, call.id)
        try:
            await self.observer.before(info)
            with anyio.fail_after(None if call.name in self.unbounded else SAFETY_SECONDS):
                return await tool.call(call.input, context)
        except ToolError as error:
            return _refused(str(error), outcome="failed")
        except AgentRuntimeError:
            raise  # not for the model: a replay that differs from its recording
        except TimeoutError:
            return _refused(f"The call was stopped after {SAFETY_SECONDS:.0f} seconds.", outcome="timed_out")
        except Exception as error:
            log.exception("tool %s failed", call.name)
            return _refused(f"The tool itself failed: {type(error).__name__}: {error}", outcome="failed")

    async def _answer(self, info: CallInfo, output: ToolOutput, seconds: float) -> ToolResult:
        call = info.call
        log.debug("%s %s: %s after %.3f s", call.name, call.id, output.outcome, seconds)
        output = await self.observer.after(info, output, seconds)
        await self.emit(result_event(call, output, info.turn, seconds))
        content = tuple(
            Text(text=clean_text(part.text) or NO_OUTPUT) if isinstance(part, Text) else part
            for part in output.content
        )
        return ToolResult(
            id=call.id,
            name=call.name,
            content=content or (Text(text=NO_OUTPUT),),
            is_error=output.is_error,
            freeform=call.freeform,
        )

    async def _answer_the_rest(
        self, calls: Sequence[ToolCall], turn: int, answered: dict[int, ToolResult], reported: set[int]
    ) -> None:
        for index, call in enumerate(calls):
            if index not in answered:
                if index not in reported:
                    await self.emit(call_event(call, turn))
                output = _refused("The run ended before this call was started.", outcome="not_started")
                info = CallInfo(call, self.tools.get(call.name), turn)
                answered[index] = await self._answer(info, output, 0.0)


_CUT = (
    "Your answer reached the output limit in the middle of this call, so the call was NOT run. "
    "Do the work in smaller pieces: several calls, each with a shorter argument."
)


def _refused(text: str, outcome: events.Outcome = "failed") -> ToolOutput:
    return ToolOutput.of(text, is_error=True, outcome=outcome)
