"""The result of a run: its status, its `error` event, and the exit status."""

from __future__ import annotations

from typing import Any

from agent_runtime.agent.loop_services import LoopResult
from agent_runtime.errors import ErrorCode, ExitCode, ProviderError, ReplayMismatch, RequestError
from agent_runtime.lazy import dataclass
from agent_runtime.protocol import events
from agent_runtime.protocol.messages import Usage

# the error codes of stop reasons
_CODES: dict[events.StopReason, ErrorCode] = {
    "max_turns": "max_turns",
    "max_tokens": "max_tokens",
    "max_total_tokens": "max_total_tokens",
    "max_cost": "max_cost",
    "invalid_output": "invalid_output",
    "timeout": "timeout",
    "refusal": "refusal",
    "context_overflow": "context_overflow",
    "error": "provider_error",
}
_LIMITS = ("max_turns", "max_tokens", "max_total_tokens", "max_cost", "timeout")


@dataclass(frozen=True)
class RunResult:
    """The result of a run. `error` is None when it completed, was cancelled or waits."""

    status: events.Status
    stop: events.StopReason
    output: str
    exit_code: ExitCode
    error: events.ErrorInfo | None = None

    def error_event(self) -> events.ErrorEvent | None:
        """The `error` event that comes before `complete`."""
        if self.error is None:
            return None
        error = self.error
        return events.ErrorEvent(
            code=error.code, message=error.message, retryable=error.retryable, details=error.details
        )


def ended(end: LoopResult) -> RunResult:
    """Return the result of a run whose loop has ended by itself."""
    if end.stop == "end_turn":
        return RunResult("completed", "end_turn", end.output, ExitCode.COMPLETED)
    if end.stop == "question":
        return RunResult("waiting", "question", end.output, ExitCode.WAITING)
    exit_code = ExitCode.LIMIT if end.stop in _LIMITS else ExitCode.FAILED
    code: ErrorCode = _CODES.get(end.stop, "internal_error")
    return RunResult(
        "failed", end.stop, end.output, exit_code, events.ErrorInfo(code=code, message=end.detail)
    )


def interrupted(reason: str, output: str, seconds: float | None) -> RunResult:
    """Return the result of a run that was cancelled, or that reached its timeout of `seconds`."""
    if reason == "timeout":
        error = events.ErrorInfo(
            code="timeout", message=f"the run has reached its timeout of {seconds:g} seconds"
        )
        return RunResult("failed", "timeout", output, ExitCode.LIMIT, error)
    exit_code = {"SIGTERM": ExitCode.SIGTERM, "stdout_closed": ExitCode.STDOUT_CLOSED}.get(
        reason, ExitCode.SIGINT
    )
    return RunResult("cancelled", "cancelled", output, exit_code)


def failed(error: BaseException, output: str) -> RunResult:
    """Return the result of a run that failed with an exception."""
    details: dict[str, Any] | None = None
    retryable = False
    exit_code = ExitCode.FAILED
    stop: events.StopReason = "error"
    if isinstance(error, ProviderError):
        details, retryable = error.event_details() or None, error.retryable
        if error.code in ("context_overflow", "refusal"):
            stop = error.code
    elif isinstance(error, RequestError):
        details, exit_code = dict(error.details), ExitCode.INVALID_REQUEST
    elif isinstance(error, ReplayMismatch):
        exit_code = ExitCode.REPLAY_MISMATCH
    code: ErrorCode = getattr(error, "code", "internal_error")
    message = str(error) if hasattr(error, "code") else f"{type(error).__name__}: {error}"
    info = events.ErrorInfo(code=code, message=message, retryable=retryable, details=details)
    return RunResult("failed", stop, output, exit_code, info)


def total(usage: Usage, cost: float | None) -> events.TotalUsage:
    """Return the usage of a whole run, and its cost in US dollars, as in the `complete` event."""
    return events.TotalUsage(
        **usage.model_dump(exclude={"estimated"}),
        total_tokens=usage.total_tokens,
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        cost_usd=cost,
        estimated=usage.estimated or None,
    )
