"""Retries and fallbacks, on a virtual clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from agent_runtime.agent.model import Delta, ModelCall, OnDelta, Turn
from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import AssistantMessage, Text, Thinking, UserMessage
from agent_runtime.providers.retry import Candidate, ResilientModel, RetryPolicy

pytestmark = pytest.mark.anyio

CALL = ModelCall("asked-for", "", [UserMessage.of("go")])


def turn(text: str = "done", thinking: str = "") -> Turn:
    thoughts = (Thinking(text=thinking),) if thinking else ()
    return Turn(AssistantMessage(blocks=(*thoughts, Text(text=text))), "end_turn", None)


def error(code: Any = "provider_error", *, retryable: bool = True, **more: Any) -> ProviderError:
    return ProviderError(code, f"it is {code}", retryable=retryable, **more)


@dataclass
class Scripted:
    """An attempt that follows a script: deltas, then an error or a turn."""

    script: list[Sequence[Delta | ProviderError | Turn]]
    calls: list[ModelCall] = field(default_factory=list)

    async def turn(self, call: ModelCall, on_delta: OnDelta) -> Turn:
        self.calls.append(call)
        for step in self.script.pop(0):
            if isinstance(step, ProviderError):
                raise step
            if isinstance(step, Turn):
                return step
            await on_delta(step)
        raise AssertionError("a script ends with an error or a turn")


class Scenario:
    """A resilient model and what it did: the waits, the reports, the fallbacks, the deltas."""

    def __init__(self, *scripts: list[Any], policy: RetryPolicy | None = None, jitter: float = 1.0):
        self.attempts = [Scripted([s if isinstance(s, list) else [s] for s in script]) for script in scripts]
        self.waits: list[float] = []
        self.reports: list[tuple[str, int, int]] = []
        self.fallbacks: list[tuple[str, str]] = []
        self.deltas: list[Delta] = []
        self.refitted: list[tuple[str, int]] = []
        rand: Callable[[], float] = lambda: jitter  # noqa: E731
        self.model = ResilientModel(
            [Candidate(f"model-{i}", attempt) for i, attempt in enumerate(self.attempts)],
            policy=policy,
            report=self._report,
            on_fallback=self._on_fallback,
            refit=self._refit,
            sleep=self._sleep,
            rand=rand,
        )

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def _report(self, failed: ProviderError, attempt: int, retry_in_ms: int) -> None:
        self.reports.append((failed.code, attempt, retry_in_ms))

    async def _on_fallback(self, failed: Candidate, then: Candidate, why: ProviderError) -> None:
        self.fallbacks.append((failed.name, then.name))

    async def _refit(self, call: ModelCall) -> ModelCall:
        self.refitted.append((call.system, self.model.position))
        return replace(call, system=f"{call.system}, shorter")

    async def _take(self, delta: Delta) -> None:
        self.deltas.append(delta)

    async def turn(self) -> Turn:
        return await self.model.turn(CALL, self._take)

    async def failure(self) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            await self.turn()
        return caught.value


async def test_waits_grow_and_each_failure_is_reported() -> None:
    scenario = Scenario([error(), error("overloaded"), error("provider_timeout"), turn()])
    assert await scenario.turn() == turn()
    assert scenario.waits == [0.5, 1.0, 2.0]
    assert scenario.reports == [
        ("provider_error", 1, 500),
        ("overloaded", 2, 1000),
        ("provider_timeout", 3, 2000),
    ]


async def test_attempts_are_bounded_and_the_last_error_is_raised() -> None:
    scenario = Scenario([error("rate_limited") for _ in range(9)])
    failed = await scenario.failure()
    assert (failed.code, failed.details, len(scenario.attempts[0].calls)) == (
        "rate_limited",
        {"attempts": 5},
        5,
    )
    assert len(scenario.reports) == 4


async def test_jitter_is_full_and_waits_are_capped() -> None:
    policy = RetryPolicy(max_retries=9, total_wait=10_000)
    assert (await Scenario([error()] * 10, policy=policy, jitter=0.0).failure()).code == "provider_error"
    scenario = Scenario([error()] * 10, policy=policy)
    await scenario.failure()
    assert scenario.waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


async def test_total_waiting_is_bounded() -> None:
    scenario = Scenario([error("rate_limited", retry_after=50)] * 9, policy=RetryPolicy(max_retries=8))
    await scenario.failure()
    assert scenario.waits == [50, 50, 50]  # a fourth would be more than three minutes


@pytest.mark.parametrize(("asked", "waits"), [(7.0, [7.0]), (0.1, [0.5]), (60.0, [60.0]), (61.0, [])])
async def test_a_requested_wait_is_respected_within_a_bound(asked: float, waits: list[float]) -> None:
    scenario = Scenario([error("rate_limited", retry_after=asked), turn()])
    if waits:
        assert await scenario.turn() == turn()
    else:
        assert (await scenario.failure()).retry_after == asked
    assert scenario.waits == waits


@pytest.mark.parametrize(
    "code",
    [
        "insufficient_quota",
        "authentication_error",
        "permission_denied",
        "model_not_found",
        "context_overflow",
    ],
)
async def test_an_error_that_is_not_retryable_is_final_at_once(code: str) -> None:
    scenario = Scenario([error(code, retryable=False), turn()])
    assert (await scenario.failure()).code == code
    assert (scenario.waits, scenario.reports) == ([], [])


async def test_zero_retries_are_respected() -> None:
    assert (
        await Scenario([error(), turn()], policy=RetryPolicy(max_retries=0)).failure()
    ).code == "provider_error"


@pytest.mark.parametrize(("code", "retryable"), [("overloaded", True), ("model_not_found", False)])
async def test_the_next_model_is_used_at_once_and_stays(code: str, retryable: bool) -> None:
    scenario = Scenario([error(code, retryable=retryable)], [turn("one"), turn("two")])
    assert [await scenario.turn(), await scenario.turn()] == [turn("one"), turn("two")]
    assert (scenario.fallbacks, scenario.waits, scenario.reports) == (
        [("model-0", "model-1")],
        [],
        [(code, 1, 0)],
    )
    assert [call.model for call in scenario.attempts[1].calls] == ["model-1", "model-1"]


async def test_the_call_is_fitted_to_each_next_model() -> None:
    gone = error("model_not_found", retryable=False)
    scenario = Scenario([gone], [error(), gone], [error(), turn()])
    await scenario.turn()
    assert scenario.refitted == [("", 1), (", shorter", 2)]
    sent = [[call.system for call in attempt.calls] for attempt in scenario.attempts]
    assert sent == [[""], [", shorter"] * 2, [", shorter, shorter"] * 2]


async def test_the_next_model_is_used_when_the_first_ran_out_of_retries() -> None:
    scenario = Scenario([error()] * 3, [error(), turn()], policy=RetryPolicy(max_retries=2))
    assert await scenario.turn() == turn()
    assert (scenario.fallbacks, scenario.waits) == ([("model-0", "model-1")], [0.5, 1.0, 0.5])


async def test_quota_is_final_even_with_another_model() -> None:
    scenario = Scenario([error("insufficient_quota", retryable=False)], [turn()])
    assert (await scenario.failure()).code == "insufficient_quota"


async def test_a_retry_streams_nothing_twice() -> None:
    first = [Delta("thinking", "hm"), Delta("text", "Hel"), Delta("text", "lo"), error()]
    second = [Delta("thinking", "hm"), Delta("text", "Hello "), error()]
    third = [
        Delta("thinking", "hm, "),
        Delta("text", "Hello wor"),
        Delta("text", "ld"),
        turn("Hello world", "hm, "),
    ]
    scenario = Scenario([first, second, third])
    await scenario.turn()
    assert "".join(d.text for d in scenario.deltas if d.kind == "text") == "Hello world"
    assert "".join(d.text for d in scenario.deltas if d.kind == "thinking") == "hm, "


async def test_a_retry_with_another_text_restarts_it() -> None:
    scenario = Scenario(
        [[Delta("text", "Hello"), error()], [Delta("text", "Hel"), Delta("text", "p me"), turn("Help me")]]
    )
    await scenario.turn()
    assert scenario.deltas == [Delta("text", "Hello"), Delta("text", "Help me", restart=True)]


async def test_text_only_in_a_failed_attempt_is_withdrawn() -> None:
    first = [Delta("thinking", "hm"), Delta("text", "Hello"), Delta("tool_input", "{", "c1"), error()]
    scenario = Scenario([first, [Delta("text", "He"), turn("He")]])
    await scenario.turn()
    assert scenario.deltas[3:] == [
        Delta("thinking", "", restart=True),
        Delta("text", "He", restart=True),
        Delta("tool_input", "", "c1", restart=True),
    ]


async def test_text_missing_from_the_deltas_is_streamed_at_the_end() -> None:
    scenario = Scenario([[Delta("text", "Helo "), turn("Hello world", "hm")]], [])
    await scenario.turn()
    assert scenario.deltas[1:] == [Delta("text", "Hello world", restart=True), Delta("thinking", "hm")]
