"""The spans of a live run: the run itself, its model calls and its tool calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agent_runtime.agent.executor import CallInfo
from agent_runtime.agent.model import Model, ModelCall, OnDelta, Turn
from agent_runtime.agent.trace import Span, Trace, current, enter, is_sampled, span, valid_traceparent
from agent_runtime.engine.run_config import RunConfig
from agent_runtime.lazy import dataclass
from agent_runtime.protocol import events
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tracing import names
from agent_runtime.tracing.exporter import Exporter, is_configured

CONTENT_SWITCH = "AGENT_RUNTIME_OTEL_CONTENT"  # `1`: spans have arguments, results and messages
_MAX_CONTENT = 16 << 10  # characters of an attribute


class RunTracing:
    """The trace of a run.

    Args:
        config: the request with all defaults resolved.
        environ: the environment of the runtime.
        live: whether spans are sent to the collector of the environment; a replay sends none.

    Attributes:
        trace: the place inside of the run's span.
        has_content: whether spans have the contents of messages and calls.
    """

    def __init__(self, config: RunConfig, environ: Mapping[str, str], *, live: bool) -> None:
        given = valid_traceparent(config.request.traceparent) or valid_traceparent(environ.get("TRACEPARENT"))
        self._exporter = Exporter(environ) if live and is_sampled(given) and is_configured(environ) else None
        self.has_content = environ.get(CONTENT_SWITCH) == "1"
        outer = Trace(given, self._exporter.take if self._exporter else None)
        self._span: Span | None = None
        self.trace = self._outer = outer
        if self._exporter:
            self._span = outer.child(f"invoke_agent {config.agent.slug}")
            first = config.endpoints[0]
            self._span.attributes = names.run_attributes(
                config.agent.slug, first.provider, first.model, config.run_id, config.request.thread_id
            )
            self.trace = outer.inside(self._span)

    @property
    def is_on(self) -> bool:
        """Whether spans are sent."""
        return self._exporter is not None

    def finish(self, complete: events.CompleteEvent) -> None:
        """End the run's span with what `complete` says, and send what is left, in at most a second."""
        if self._span is None or self._exporter is None:
            return
        usage = complete.usage
        self._span.attributes |= {
            names.INPUT_TOKENS: usage.input_tokens,
            names.OUTPUT_TOKENS: usage.output_tokens,
            names.STOP_REASON: complete.stop_reason,
        }
        if usage.cost_usd is not None:
            self._span.attributes[names.COST] = usage.cost_usd
        if complete.status != "completed":
            code = complete.error.code if complete.error else complete.stop_reason
            self._span.fail(code, complete.error.message if complete.error else "")
        self._outer.end(self._span)
        self._exporter.close()


@dataclass(frozen=True)
class TracedModel:
    """A model whose calls are spans."""

    model: Model
    provider: str
    has_content: bool

    async def turn(self, call: ModelCall, on_delta: OnDelta) -> Turn:
        """See agent.model.Model."""
        attributes = names.chat_attributes(self.provider, call.model)
        with span(f"chat {call.model}", "client", **attributes) as chat:
            turn = await self.model.turn(call, on_delta)
            if chat is not None:
                chat.attributes[names.FINISH_REASONS] = [turn.stop]
                if turn.model:
                    chat.attributes[names.RESPONSE_MODEL] = turn.model
                if turn.usage:
                    chat.attributes |= names.usage_attributes(turn.usage)
                if self.has_content:
                    chat.attributes[names.OUTPUT_MESSAGES] = _messages("assistant", turn.message.text)
            return turn


class ToolSpans:
    """A CallObserver that makes a span of each tool call."""

    wants_output = False

    def __init__(self, *, has_content: bool) -> None:
        self._has_content = has_content
        self._running: dict[str, tuple[Trace, Span]] = {}

    async def before(self, info: CallInfo) -> None:
        """Start a span; what the tool does is inside of it."""
        outer, started = self._start(info)
        self._running[info.call.id] = (outer, started)
        enter(outer.inside(started))

    async def on_output(self, info: CallInfo, piece: str) -> None:
        """Do nothing."""

    async def after(self, info: CallInfo, output: ToolOutput, seconds: float) -> ToolOutput:
        """End the span. A call that was answered without being run has a short one."""
        running = self._running.pop(info.call.id, None)
        outer, started = running or self._start(info)
        if output.is_error:
            started.fail(output.outcome, output.text[:200] if self._has_content else "")
        if self._has_content:
            started.attributes[names.TOOL_RESULT] = output.text[:_MAX_CONTENT]
        outer.end(started)
        enter(outer)
        return output

    def _start(self, info: CallInfo) -> tuple[Trace, Span]:
        outer = current()
        started = outer.child(f"execute_tool {info.call.name}")
        started.attributes = names.tool_attributes(info.call.name, info.call.id)
        if self._has_content:
            started.attributes[names.TOOL_ARGUMENTS] = info.call.arguments[:_MAX_CONTENT]
        return outer, started


def _messages(role: str, text: str) -> str:
    parts: list[dict[str, Any]] = [{"type": "text", "content": text[:_MAX_CONTENT]}]
    return json.dumps([{"role": role, "parts": parts}], ensure_ascii=False)
