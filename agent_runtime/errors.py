"""The exceptions of this package, and the error codes and exit statuses that callers see.

AgentRuntimeError
├── RequestError          the request or the command line is invalid            (exit 2)
├── ProviderError         a model call failed; `retryable` says whether it may be tried again
├── ToolError             a tool failed: becomes a tool_result with isError, the run continues
├── TranscriptError       a transcript is damaged, or written by a newer version
└── ReplayMismatch        a replay differs from its recording                   (exit 4)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Literal

from agent_runtime.lazy import lazy_pattern

ErrorCode = Literal[
    "invalid_request",
    "authentication_error",
    "permission_denied",
    "model_not_found",
    "rate_limited",
    "insufficient_quota",
    "overloaded",
    "provider_error",
    "provider_timeout",
    "context_overflow",
    "refusal",
    "max_turns",
    "max_tokens",
    "max_total_tokens",
    "max_cost",
    "invalid_output",
    "timeout",
    "tool_error",
    "replay_mismatch",
    "transcript_error",
    "internal_error",
]


class ExitCode(IntEnum):
    """Exit statuses of the command line."""

    COMPLETED = 0
    FAILED = 1
    INVALID_REQUEST = 2
    LIMIT = 3
    REPLAY_MISMATCH = 4
    WAITING = 5
    STDOUT_CLOSED = 74  # EX_IOERR of sysexits.h
    SIGINT = 130
    SIGTERM = 143


class AgentRuntimeError(Exception):
    """Base class of the errors that this package raises. `code` is the code of the `error` event."""

    code: ErrorCode = "internal_error"


_EXPECTED = lazy_pattern(r"\b(?:expected|required:) (.+?)(?:[,;] got |; |(?<![\"']): |$)", re.DOTALL)


class RequestError(AgentRuntimeError):
    """The request (or the command line) is invalid.

    Args:
        field: the field in camelCase, or the option of the command line.
        problem: what was expected, as `expected X, got Y` or `expected X: Y`, or what is wrong.
        message: the whole message, where `problem` alone is not enough.
        label: what the message calls the field, such as an option of the command line; the field by default.
    """

    code: ErrorCode = "invalid_request"

    def __init__(self, field: str, problem: str, message: str = "", label: str = "") -> None:
        name = label or field
        super().__init__(f"{name}: {message or problem}" if name else message or problem)
        self.field = field
        self.problem = problem
        self._message = message

    @property
    def details(self) -> dict[str, str]:
        """The `details` of the `error` event: the field, and what was expected without what was given."""
        found = _EXPECTED.search(self.problem)
        return {"field": self.field, "expected": found[1] if found else self.problem}

    def inside(self, field: str) -> RequestError:
        """Return the same error of a field inside another one."""
        return RequestError(f"{field}.{self.field}" if self.field else field, self.problem, self._message)

    def labelled(self, label: str) -> RequestError:
        """Return the same error with another name of the field in its message."""
        return RequestError(self.field, self.problem, self._message, label)


class ProviderError(AgentRuntimeError):
    """A model call failed. Adapters raise it in place of the errors of HTTP clients.

    Args:
        code: one of the codes above.
        message: the provider's own message, where it sent one.
        retryable: whether the same call may succeed later.
        retry_after: seconds to wait, from the provider's Retry-After header.
        status: HTTP status of the response; None when there was no response.
        request_id: the provider's request id, for support requests.
        details: further entries for the `details` of the `error` event.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        retryable: bool,
        retry_after: float | None = None,
        status: int | None = None,
        request_id: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after
        self.status = status
        self.request_id = request_id
        self.details = dict(details or {})

    def event_details(self) -> dict[str, Any]:
        """The `details` of the `error` event."""
        known = {"status": self.status, "requestId": self.request_id, "retryAfter": self.retry_after}
        return {k: v for k, v in known.items() if v is not None} | self.details


class ToolError(AgentRuntimeError):
    """A failure that the model can react to: the message becomes the tool's output, with isError. The run continues."""

    code: ErrorCode = "tool_error"


class TranscriptError(AgentRuntimeError):
    """A transcript cannot be read: it is damaged, truncated, or written by a newer version."""

    code: ErrorCode = "transcript_error"


class ReplayMismatch(AgentRuntimeError):
    """A replay asked for something that its recording does not have at this point."""

    code: ErrorCode = "replay_mismatch"
