"""The costs of a run: the limit is checked before a call is made, an unknown price is reported once."""

from __future__ import annotations

import pytest

from agent_runtime.agent.limits import Budget, Limits
from agent_runtime.engine.costs import CostMeter
from agent_runtime.protocol.events import Event
from agent_runtime.protocol.messages import Usage
from agent_runtime.providers.endpoints import resolve
from agent_runtime.providers.prices import PriceTable

pytestmark = pytest.mark.anyio
OWN = {"custom-model": {"input": 1.0, "output": 2.0}}


def meter(model: str, events: list[Event], limits: Limits) -> tuple[CostMeter, Budget]:
    async def emit(event: Event) -> None:
        events.append(event)

    budget = Budget(limits, lambda: 0.0)
    endpoint = resolve(model, {})
    return CostMeter(PriceTable(OWN), lambda: endpoint, budget, emit), budget


@pytest.mark.parametrize(
    ("tokens", "exceeds"), [(0, False), (399_000, False), (401_000, True), (10_000_000, True)]
)
async def test_a_call_that_would_pass_the_limit_is_not_made(tokens: int, exceeds: bool) -> None:
    costs, budget = meter("anthropic:custom-model", [], Limits(max_cost=1.0))
    usage = Usage(input_tokens=200_000, output_tokens=100_000)
    budget.spend(usage, await costs.cost(usage))  # 0.4 dollars; the next call is expected to write as much
    assert await costs.exceeds(tokens) is exceeds


async def test_an_unknown_price_is_reported_once() -> None:
    events: list[Event] = []
    costs, _ = meter("anthropic:no-such-model", events, Limits())
    assert [await costs.cost(Usage(input_tokens=1)) for _ in range(3)] == [None] * 3
    assert [event.model_dump(include={"code"}) for event in events] == [{"code": "price_unknown"}]
