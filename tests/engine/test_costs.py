"""The costs of a run: when prices are loaded."""

from __future__ import annotations

import anyio
import pytest

from agent_runtime.agent.limits import Budget, Limits
from agent_runtime.engine import costs
from agent_runtime.engine.costs import CostMeter
from agent_runtime.protocol.events import Event
from agent_runtime.protocol.messages import Usage
from agent_runtime.providers.endpoints import resolve
from agent_runtime.providers.prices import PriceTable

pytestmark = pytest.mark.anyio


class Table(PriceTable):
    """Reports when it is used."""

    def __init__(self, used: anyio.Event) -> None:
        super().__init__({})
        self._used = used

    def cost(self, provider: str, model: str, base_url: str, usage: Usage) -> float | None:
        anyio.from_thread.run_sync(self._used.set)
        return 1.0


async def test_prices_are_loaded_once_the_first_model_call_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "LOAD_AFTER", 0)
    used = anyio.Event()

    async def emit(event: Event) -> None:
        raise AssertionError(event)

    endpoint = resolve("anthropic:claude-sonnet-4-5", {})
    meter = CostMeter(Table(used), lambda: endpoint, Budget(Limits(), lambda: 0.0), emit)
    async with anyio.create_task_group() as group:
        group.start_soon(meter.prepare)
        await anyio.wait_all_tasks_blocked()
        assert not used.is_set()
        assert not await meter.exceeds(1)
        with anyio.fail_after(5):
            await used.wait()
