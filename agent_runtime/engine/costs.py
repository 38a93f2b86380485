"""The costs of a run: what each model call cost, and whether the next one would pass `maxCost`."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

from agent_runtime.agent.limits import Budget
from agent_runtime.protocol import events
from agent_runtime.protocol.messages import Usage
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.prices import PriceTable
from agent_runtime.transcripts.reader import Transcript


class CostMeter:
    """Prices the model calls of one run.

    Args:
        table: the prices.
        current: returns the endpoint of the model in use; a fallback changes it.
        budget: the limit, and what was used before.
        emit: emits the notice that a price is unknown, once for each model.
    """

    def __init__(
        self,
        table: PriceTable,
        current: Callable[[], Endpoint],
        budget: Budget,
        emit: Callable[[events.Event], Awaitable[None]],
    ) -> None:
        self._table, self._current, self._budget, self._emit = table, current, budget, emit
        self._reported: set[str] = set()
        self._last = Usage()  # of the previous call: the next call pays less for what that has cached

    async def cost(self, usage: Usage) -> float | None:
        """Return what a call with this usage cost; None when the price is unknown, which a notice reports once."""
        self._last = usage
        cost = self._cost(usage)
        label = f"{self._current().provider}:{self._current().model}"
        if cost is None and label not in self._reported:
            self._reported.add(label)
            message = f"the price of {label} is not known: costUsd is null"
            await self._emit(
                events.NoticeEvent(code="price_unknown", message=message, details={"model": label})
            )
        return cost

    async def exceeds(self, tokens: int) -> bool:
        """Return whether the call that is about to be made, with `tokens` of input, would pass `maxCost`.

        Its output is counted as the mean of the calls so far, but not above `maxTokens`. What the call before has read
        from the cache or written to it is expected to be read from the cache.
        """
        limits, budget = self._budget.limits, self._budget
        if limits.max_cost is None or budget.cost is None:
            return False
        output = budget.usage.output_tokens / budget.turns if budget.turns else limits.max_tokens or 0
        if limits.max_tokens is not None:
            output = min(output, limits.max_tokens)
        cached = min(tokens, self._last.cached_input_tokens + self._last.cache_write_tokens)
        usage = Usage(input_tokens=tokens, output_tokens=round(output), cached_input_tokens=cached)
        cost = self._cost(usage)
        return cost is not None and budget.cost + cost > limits.max_cost

    def _cost(self, usage: Usage) -> float | None:
        at = self._current()
        return self._table.cost(at.provider, at.model, at.base_url, usage, at.base_model)


class RecordedCosts:
    """The costs of a recorded run: a replay needs no prices, which may have changed since.

    Args:
        transcript: the recording.
    """

    def __init__(self, transcript: Transcript) -> None:
        events = transcript.events
        self._costs = deque(event.get("costUsd") for event in events if event["type"] == "usage")
        self._is_limit = bool(events) and events[-1].get("stopReason") == "max_cost"

    async def cost(self, usage: Usage) -> float | None:
        """Return the recorded cost of the next call; None when it was not known."""
        return self._costs.popleft() if self._costs else None

    async def exceeds(self, tokens: int) -> bool:
        """Return whether the recorded run was ended here by `maxCost`."""
        return self._is_limit and not self._costs
