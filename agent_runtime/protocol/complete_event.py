"""The last event of a run: how it ended, what it changed, what it cost, and what it leaves running."""

from __future__ import annotations

from typing import Any, Literal

from agent_runtime.errors import ErrorCode
from agent_runtime.models.base import Field
from agent_runtime.protocol.event_base import Event, Maybe
from agent_runtime.protocol.messages import Frozen

Status = Literal["completed", "failed", "cancelled", "waiting"]
StopReason = Literal[
    "end_turn",
    "max_turns",
    "max_tokens",
    "max_total_tokens",
    "max_cost",
    "invalid_output",
    "timeout",
    "cancelled",
    "refusal",
    "context_overflow",
    "question",
    "error",
]


class TotalUsage(Frozen):
    """The sums over all model calls.

    `prompt_tokens` equals `input_tokens`, `completion_tokens` equals `output_tokens`. `cost_usd` is None when the price
    of a call is not known.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    total_tokens: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    estimated: Maybe[bool] = None


class ErrorInfo(Frozen):
    """The error that ended a run."""

    code: ErrorCode
    message: str
    retryable: bool = False
    details: Maybe[dict[str, Any]] = None


class LeftProcess(Frozen):
    """A process of the run that still lives, or that was ended with the run."""

    pid: int
    command: str
    tool_call_id: str | None = None
    port: Maybe[int] = None
    log_file: Maybe[str] = None


class CompleteEvent(Event):
    """The last line of a run, exactly once. `result` is the same text as `output`.

    `left`: the processes that go on after the run. `ended`: those that were ended with it.
    """

    type: Literal["complete"] = "complete"
    status: Status
    stop_reason: StopReason
    output: str
    result: str
    files: tuple[str, ...] = ()
    deleted_files: tuple[str, ...] = ()
    ignored_changes: Maybe[dict[str, Any]] = None
    dev_url: str | None = None
    dev_urls: tuple[dict[str, Any], ...] = ()
    left: tuple[LeftProcess, ...] = ()
    ended: Maybe[tuple[LeftProcess, ...]] = None
    structured_output: Maybe[Any] = None
    usage: TotalUsage = Field(default_factory=lambda: TotalUsage())
    iterations: int = 0
    duration_ms: int = 0
    thread_id: str | None = None
    sandbox_id: str | None = None
    rollout_id: str | None = None
    target_device_id: Maybe[str] = None
    idempotency_key: Maybe[str] = None
    execution_mode: str | None = None
    metadata: Any = None
    error: Maybe[ErrorInfo] = None
