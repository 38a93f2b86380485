from __future__ import annotations

import asyncio
import time
from functools import partial

import anyio

from agent_runtime.agent.limits import Budget, Limits
from agent_runtime.engine.clock import FROZEN, TICK, RunClock, RunEventLoop, call_when_idle
from agent_runtime.protocol.messages import Usage


class Clocks:
    def __init__(self) -> None:
        self.monotonic = 100.0
        self.wall = 1_000_000.0

    def run(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds


def test_time_spent_suspended_does_not_count() -> None:
    clocks = Clocks()
    clock = RunClock(lambda: clocks.monotonic, lambda: clocks.wall)
    for _ in range(4):
        clocks.run(TICK)
        assert clock.tick() == 0
    clocks.run(3600)  # SIGSTOP: the monotonic clock went on
    assert clock.elapsed() < 3
    assert clock.tick() > 3590
    assert clock.elapsed() == 5 * TICK
    clocks.wall += 7200  # a snapshot: only the wall clock shows it
    clocks.run(TICK)
    assert clock.tick() == 7200
    assert clock.elapsed() == 6 * TICK


def test_a_busy_machine_is_not_taken_for_a_suspended_one() -> None:
    clocks = Clocks()
    clock = RunClock(lambda: clocks.monotonic, lambda: clocks.wall)
    clocks.run(FROZEN - 1)
    assert clock.tick() == 0
    assert clock.elapsed() == FROZEN - 1


def test_the_model_is_warned_once_about_each_limit_that_comes_near() -> None:
    seconds = 0.0
    budget = Budget(Limits(max_turns=10, max_total_tokens=1000, timeout=60), lambda: seconds)
    assert budget.near() == {}
    for _ in range(8):
        budget.spend(Usage(input_tokens=90, output_tokens=10), 0.0)
    assert set(budget.near()) == {"max_turns", "max_total_tokens"}
    assert budget.near() == {}
    seconds = 50
    warning = {"timeout": "Seconds left in this run: 10. Finish your work now."}
    assert budget.near() == warning
    assert budget.reached() is None
    budget.spend(Usage(input_tokens=200), 0.0)
    assert budget.reached() == "max_total_tokens"


def test_the_model_is_warned_before_its_last_turn_even_when_the_limit_is_two() -> None:
    budget = Budget(Limits(max_turns=2), lambda: 0.0)
    assert budget.near() == {}
    budget.spend(Usage(), 0.0)
    assert set(budget.near()) == {"max_turns"}
    only = Budget(Limits(max_turns=1), lambda: 0.0)
    assert only.near() == {}
    only.spend(Usage(), 0.0)
    assert only.reached() == "max_turns"
    assert only.near() == {}  # there is no further call to warn


def test_a_limit_is_near_when_another_step_like_the_last_would_reach_it() -> None:
    seconds = 0.1
    budget = Budget(Limits(max_turns=50, max_total_tokens=1000, timeout=60), lambda: seconds)
    assert budget.near() == {}
    budget.spend(Usage(input_tokens=400), 0.0)
    seconds = 20
    assert budget.near() == {}
    budget.spend(Usage(input_tokens=350), 0.0)
    seconds = 41
    assert set(budget.near()) == {"max_total_tokens", "timeout"}


def test_what_can_wait_is_done_when_nothing_else_is_to_be_done() -> None:
    async def main() -> list[str]:
        done: list[str] = []
        call_when_idle(lambda: done.append("idle"))
        for number in range(3):
            await asyncio.sleep(0)
            done.append(str(number))
        waited = asyncio.Event()
        call_when_idle(waited.set)
        await waited.wait()
        return done

    assert anyio.run(main, backend_options={"loop_factory": partial(RunEventLoop, time.monotonic)}) == [
        *"012",
        "idle",
    ]
