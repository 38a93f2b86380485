"""Builds the conversation of a run: its estimates, limits and summaries."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent_runtime.agent.model import AnswerFormat, Delta, Model, ModelCall, ToolSpec
from agent_runtime.conversation.compaction import Compactor, ContextLimits
from agent_runtime.conversation.conversation import Conversation
from agent_runtime.conversation.tokens import Estimator
from agent_runtime.engine.context import RunContext
from agent_runtime.engine.costs import CostMeter, RecordedCosts
from agent_runtime.errors import ProviderError
from agent_runtime.lazy import dataclass
from agent_runtime.protocol import events
from agent_runtime.protocol.messages import Message
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.parameters import reads_document
from agent_runtime.providers.retry import ResilientModel


def build_conversation(
    ctx: RunContext,
    model: Model,
    costs: CostMeter | RecordedCosts,
    resilient: ResilientModel,
    system: str,
    specs: tuple[ToolSpec, ...],
    answer: AnswerFormat | None,
) -> Conversation:
    """Return the conversation, with the tools of `specs` in each of its model calls.

    Its estimates and limits are those of the model of `resilient` that is in use.
    """
    config, settings = ctx.config, ctx.config.request.config
    limits = _context_limits(ctx, resilient)

    def endpoint() -> Endpoint:
        return config.endpoints[resilient.position]

    def described() -> Sequence[ToolSpec]:
        has_search = endpoint().provider_row.tool_search
        return [spec for spec in specs if not (spec.deferred and has_search)]

    estimator = Estimator(system, described, reads=lambda document: reads_document(endpoint(), document))
    return Conversation(
        template=ModelCall(
            model=config.endpoints[0].model,
            system=system,
            messages=(),
            tools=specs,
            max_tokens=config.limits.max_tokens,
            temperature=config.temperature,
            effort=settings.effort,
            thinking=settings.thinking,
            parallel_tools=settings.parallel_tools is not False,
            answer=answer,
            cache_key=config.request.thread_id or config.run_id,
        ),
        limits=limits,
        estimator=estimator,
        compactor=Compactor(
            limits=limits, estimator=estimator, summarize=Summarizer(ctx, model, costs, limits)
        ),
        history=ctx.history,
        notify=ctx.sink.emit,
    )


def _context_limits(ctx: RunContext, model: ResilientModel) -> Callable[[], ContextLimits]:
    """Return a function that returns the limits of the model in use; they change with a fallback model."""

    def limits() -> ContextLimits:
        now = model.current
        reserve = ctx.config.limits.max_tokens or min(now.max_output, now.context_window // 4)
        return ContextLimits(now.context_window, reserve, model.position)

    return limits


@dataclass(frozen=True)
class Summarizer:
    """Summarizes older messages by a model call. It is not a turn of the run, but its usage is counted."""

    ctx: RunContext
    model: Model
    costs: CostMeter | RecordedCosts
    limits: Callable[[], ContextLimits]

    async def __call__(self, messages: list[Message]) -> str:
        """Return the summary. Raises ProviderError when the call fails, or the summary is empty."""
        call = ModelCall(model=self.ctx.config.endpoints[0].model, system="", messages=messages)
        turn = await self.model.turn(call, _ignore)
        usage = turn.usage
        if usage is None or not usage.input_tokens:  # not reported by the provider
            estimator = Estimator()
            estimator.replaced(messages)
            usage = await estimator.counted(turn.message)
        budget = self.ctx.budget
        cost = await self.costs.cost(usage)
        budget.spend(usage, cost, turns=0)
        window = (0, self.limits().window)
        await self.ctx.sink.emit(events.usage_report(usage, budget.turns, window, cost))
        if not turn.message.text.strip():
            raise ProviderError("provider_error", "the summary of the conversation is empty", retryable=False)
        return turn.message.text


async def _ignore(delta: Delta) -> None:
    """Deltas of a summary are not emitted."""
