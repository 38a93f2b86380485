"""What bounds a run, and how much of it is spent. Pure arithmetic; the clock is handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from agent_runtime.protocol.messages import Usage

LimitName = Literal["max_turns", "max_total_tokens", "timeout"]
NEAR = 0.8  # the share of a limit at which the model is told, once for each limit

CONNECT_SECONDS = 20.0  # a connection that does not stand by then seldom will


@dataclass(frozen=True)
class Limits:
    """The effective limits of a run: request over agent over default.

    Seconds for what is called a timeout, tokens elsewhere. None: no limit of our own; of the three that bound
    a model call it means that `model_timeout` stands for it (transcripts from before they were settable).
    """

    max_turns: int = 50
    max_tokens: int | None = None
    max_total_tokens: int | None = None
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
        waits = {
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
            **{name: seconds for name, seconds in waits.items() if seconds is not None},
        }


@dataclass
class Budget:
    """What a run has spent. `elapsed` gives the seconds since its start, without time spent frozen."""

    limits: Limits
    elapsed: Callable[[], float]
    turns: int = 0
    usage: Usage = field(default_factory=Usage)
    _told: set[str] = field(default_factory=set)
    _before: dict[str, float] = field(default_factory=dict)  # what was spent when `near` was last asked

    def spend(self, usage: Usage) -> None:
        """Count one model call."""
        self.turns += 1
        self.usage += usage

    def _shares(self) -> dict[LimitName, tuple[float, float | None]]:
        return {
            "max_turns": (self.turns, self.limits.max_turns),
            "max_total_tokens": (self.usage.total_tokens, self.limits.max_total_tokens),
            "timeout": (self.elapsed(), self.limits.timeout),
        }

    def reached(self) -> LimitName | None:
        """The limit that allows no further model call. The timeout is enforced by the clock, not here."""
        for name, (spent, limit) in self._shares().items():
            if name != "timeout" and limit is not None and spent >= limit:
                return name
        return None

    def near(self) -> dict[LimitName, str]:
        """Limits that have come near since last asked, each with what to tell the model about it.

        Near is a share of the limit, or that one more step as long as the last would reach it. One that is reached is
        not among them: there is no further call to tell anybody.
        """
        found: dict[LimitName, str] = {}
        for name, (spent, limit) in self._shares().items():
            step, self._before[name] = spent - self._before.get(name, 0), spent
            if limit is None or name in self._told or not 0 < spent < limit:
                continue
            if spent >= NEAR * limit or spent + step >= limit:
                self._told.add(name)
                found[name] = f"{_LEFT[name]}: {limit - spent:.0f}. Bring the work to a good end now."
        return found


_LEFT: dict[LimitName, str] = {
    "max_turns": "Turns that are left to this run",
    "max_total_tokens": "Tokens that are left to this run",
    "timeout": "Seconds that are left to this run",
}
