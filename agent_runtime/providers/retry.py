"""Retries failed model calls, waits as the provider asks, and falls back to other models.

Every failure that is tried again is reported; attempts and waiting are bounded. A turn is only returned whole, so
nothing of a failed attempt becomes final, and no tool runs for it.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Protocol

import anyio

from agent_runtime.agent.model import ModelCall, OnDelta, Turn
from agent_runtime.errors import ProviderError
from agent_runtime.lazy import dataclass
from agent_runtime.providers.delta_merger import DeltaMerger

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long. Seconds; full jitter over `base * 2**n`, at most `cap`.

    retry_after_limit: a longer wait than this that a provider asks for is not waited, and the error is final.
    total_wait: of one model call, all attempts together.
    """

    max_retries: int = 4
    base: float = 0.5
    cap: float = 30.0
    retry_after_limit: float = 60.0
    total_wait: float = 180.0


class Attempt(Protocol):
    """One model at one place, tried once (`Adapter`)."""

    async def turn(self, call: ModelCall, on_delta: OnDelta) -> Turn:
        """Raises ProviderError."""
        ...


@dataclass(frozen=True)
class Candidate:
    """A model of the list. `name` is what the model is called there; its sizes are in tokens."""

    name: str
    attempt: Attempt
    label: str = ""  # for notices: provider:name
    context_window: int = 0
    max_output: int = 0


Report = Callable[[ProviderError, int, int], Awaitable[None]]  # the error, the attempt (from 1), retry in ms
OnFallback = Callable[[Candidate, Candidate, ProviderError], Awaitable[None]]
Refit = Callable[[ModelCall], Awaitable[ModelCall]]
Sleep = Callable[[float], Awaitable[None]]


class Gate(Protocol):
    """Lets attempts wait; see agent.step_gate.StepGate."""

    @property
    def is_closed(self) -> bool:
        """Whether attempts have to wait."""
        ...

    async def ready(self) -> None:
        """Wait until the gate is open."""
        ...


_ELSEWHERE = frozenset({"overloaded", "model_not_found"})  # another model may do better, at once


async def _nothing(*_: object) -> None:
    """The default callback: reports nothing."""


async def _unchanged(call: ModelCall) -> ModelCall:
    """The default of `refit`."""
    return call


class ResilientModel:
    """A model with retries and fallbacks.

    Args:
        candidates: the models, in the order of preference. Once another one is used, it stays for the run:
            its reasoning and its cache are worth more than going back to the first one.
        policy: the bounds.
        report: called with every failure that will be tried again, before the wait.
        on_fallback: called when the next model is used.
        refit: returns a call in the size that the next model takes; may raise ProviderError.
        gate: awaited before each attempt. A call that fails while it is closed, because its connection was dropped,
            is made again when it is open; this does not count as a retry.
        sleep, rand: injected by tests.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        *,
        policy: RetryPolicy | None = None,
        report: Report = _nothing,
        on_fallback: OnFallback = _nothing,
        refit: Refit = _unchanged,
        gate: Gate | None = None,
        sleep: Sleep = anyio.sleep,
        rand: Callable[[], float] = random.random,
    ) -> None:
        self._candidates = list(candidates)
        self._policy = policy or RetryPolicy()
        self._report = report
        self._on_fallback = on_fallback
        self._refit = refit
        self._position = 0
        self._gate = gate
        self._sleep = sleep
        self._rand = rand

    @property
    def current(self) -> Candidate:
        """The model in use."""
        return self._candidates[self._position]

    @property
    def position(self) -> int:
        """The position of the model in use in the list of models."""
        return self._position

    async def turn(self, call: ModelCall, on_delta: OnDelta) -> Turn:
        """Run one turn. Raises ProviderError when it failed after all attempts."""
        merger = DeltaMerger(on_delta)
        attempt, retries, waited = 0, 0, 0.0
        while True:
            if self._gate:
                await self._gate.ready()
            attempt += 1
            log.debug("model call to %s, attempt %d", self.current.label or self.current.name, attempt)
            try:
                turn = await self.current.attempt.turn(replace(call, model=self.current.name), merger.begin())
            except ProviderError as failed:
                log.debug("the model call failed: %s: %s", failed.code, failed.message)
                error = failed
            else:
                await merger.settle(turn)
                return turn
            if self._gate and self._gate.is_closed and error.retryable:
                await self._report(error, attempt, 0)
                continue
            wait = self._wait(error, retries, waited)
            if self._is_better_elsewhere(error, wait):
                await self._report(error, attempt, 0)
                await self._fall_back(error)
                call = await self._refit(call)
                retries = 0
                continue
            if wait is None:
                if attempt > 1:
                    error.details.setdefault("attempts", attempt)
                raise error
            retries += 1
            waited += wait
            await self._report(error, attempt, round(wait * 1000))
            await self._sleep(wait)

    def _is_better_elsewhere(self, error: ProviderError, wait: float | None) -> bool:
        """Return whether to use the next model: there is one, and this one is missing, overloaded, or out of
        attempts.
        """
        if self._position + 1 == len(self._candidates):
            return False
        return error.code in _ELSEWHERE or (error.retryable and wait is None)

    def _wait(self, error: ProviderError, retries: int, waited: float) -> float | None:
        """Return the seconds until the next attempt; None when there is none."""
        policy = self._policy
        if not error.retryable or retries >= policy.max_retries:
            return None
        wait = min(policy.cap, policy.base * 2**retries) * self._rand()
        if error.retry_after is not None:
            if error.retry_after > policy.retry_after_limit:
                return None
            wait = max(wait, error.retry_after)
        return wait if waited + wait <= policy.total_wait else None

    async def _fall_back(self, error: ProviderError) -> None:
        failed = self.current
        self._position += 1
        await self._on_fallback(failed, self.current, error)
