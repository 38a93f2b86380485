"""The limits of a run, and how much of them is used. Pure arithmetic; the clock is passed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any, Literal

from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import Usage

LimitName = Literal["max_turns", "max_total_tokens", "max_cost", "timeout"]
NEAR = 0.8  # the share of a limit at which the model is warned, once for each limit

CONNECT_SECONDS = 20.0  # a connection that is not established by then seldom succeeds later


@dataclass(frozen=True)
class Limits:
    """The effective limits of a run: the request overrides the agent, which overrides the defaults.

    Timeouts are in seconds. None means no limit, except for `connect_timeout`, `first_token_timeout` and
    `between_tokens_timeout`: there it means `model_timeout` (older transcripts do not have these three).
    """

    max_turns: int = 50
    max_tokens: int | None = None
    max_total_tokens: int | None = None
    max_cost: float | None = None  # US dollars
    timeout: float | None = None
    tool_timeout: float | None = None
    tool_output_tokens: int = 10_000
    max_retries: int = 4
    model_timeout: float = 300.0
    connect_timeout: float | None = None
    first_token_timeout: float | None = None
    between_tokens_timeout: float | None = None

    def as_event(self) -> dict[str, Any]:
        """The `limits` object of the `start` event."""
        optional = {
            "maxCost": self.max_cost,
            "connectTimeout": self.connect_timeout,
            "firstTokenTimeout": self.first_token_timeout,
            "betweenTokensTimeout": self.between_tokens_timeout,
        }
        return {
            "maxTurns": self.max_turns,
            "maxTokens": self.max_tokens,
            "maxTotalTokens": self.max_total_tokens,
            "timeout": self.timeout,
            "toolTimeout": self.tool_timeout,
            "toolOutputTokens": self.tool_output_tokens,
            "maxRetries": self.max_retries,
            "modelTimeout": self.model_timeout,
            **{name: value for name, value in optional.items() if value is not None},
        }


@dataclass
class Budget:
    """What a run has used of its limits. `elapsed` returns the seconds since its start, without frozen time.

    `cost` is in US dollars; None when the price of a call is not known.
    """

    limits: Limits
    elapsed: Callable[[], float]
    turns: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: float | None = 0.0
    _warned: set[str] = field(default_factory=set)
    _before: dict[str, float] = field(default_factory=dict)  # what was used when `near` was last called

    def spend(self, usage: Usage, cost: float | None, *, turns: int = 1) -> None:
        """Count one model call, which is no turn when it makes a summary (`turns=0`)."""
        self.turns += turns
        self.usage += usage
        self.cost = None if cost is None or self.cost is None else round(self.cost + cost, 12)

    def _shares(self) -> dict[LimitName, tuple[float, float | None]]:
        return {
            "max_turns": (self.turns, self.limits.max_turns),
            "max_total_tokens": (self.usage.total_tokens, self.limits.max_total_tokens),
            "max_cost": (self.cost or 0.0, self.limits.max_cost),
            "timeout": (self.elapsed(), self.limits.timeout),
        }

    def reached(self) -> LimitName | None:
        """Return the limit that allows no further model call, if any. RunClock enforces the timeout."""
        for name, (spent, limit) in self._shares().items():
            if name != "timeout" and limit is not None and spent >= limit:
                return name
        return None

    def near(self) -> dict[LimitName, str]:
        """Return the limits that have become near since the last call, each with a warning for the model.

        A limit is near when the share NEAR of it is used, or when another step like the last one would reach it. A
        limit that is reached is not reported: no further model call could receive the warning.
        """
        found: dict[LimitName, str] = {}
        for name, (spent, limit) in self._shares().items():
            step, self._before[name] = spent - self._before.get(name, 0), spent
            if limit is None or name in self._warned or not 0 < spent < limit:
                continue
            steps = 2 if name == "max_cost" else 1  # the run ends before the step that would pass it
            if spent >= NEAR * limit or spent + steps * step >= limit:
                self._warned.add(name)
                left = f"{limit - spent:.2g}" if name == "max_cost" else f"{limit - spent:.0f}"
                found[name] = f"{_LEFT[name]}: {left}. Finish your work now."
        return found


_LEFT: dict[LimitName, str] = {
    "max_turns": "Turns left in this run",
    "max_total_tokens": "Tokens left in this run",
    "max_cost": "US dollars left in this run",
    "timeout": "Seconds left in this run",
}
