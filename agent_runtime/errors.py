"""The errors that cross a layer, and the codes and exit statuses that callers see.

AgentRuntimeError
├── RequestError          the caller must react: the request is wrong          (exit 2)
├── ProviderError         the model's side failed; `retryable` says if it may be tried again
├── ToolError             for the model: becomes a tool_result with isError, the run goes on
├── TranscriptError       a recording that is damaged, or newer than this program
└── ReplayMismatch        a replay that went another way than its recording     (exit 4)
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Literal

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
    STDOUT_CLOSED = 74  # EX_IOERR of sysexits.h
    SIGINT = 130
    SIGTERM = 143


class AgentRuntimeError(Exception):
    """Base of every error this program raises on purpose. `code` is what the `error` event carries."""

    code: ErrorCode = "internal_error"


class RequestError(AgentRuntimeError):
    """The request (or the command line) is wrong.

    Args:
        field: the field in its camelCase form, or the option of the command line.
        expected: what it should have been, and what it was.
        message: what is wrong, where `expected` alone would not say it.
    """

    code: ErrorCode = "invalid_request"

    def __init__(self, field: str, expected: str, message: str = "") -> None:
        super().__init__(f"{field}: {message or expected}" if field else message or expected)
        self.field = field
        self.expected = expected
        self._message = message

    def renamed(self, field: str) -> RequestError:
        """The same error under another name of the field."""
        return RequestError(field, self.expected, self._message)


class ProviderError(AgentRuntimeError):
    """A model call failed. Raised by `providers/` only, in the place of whatever the SDK raised.

    Args:
        code: one of the codes above.
        message: the provider's own words where it sent some.
        retryable: decided case by case where the error is mapped, never by a wildcard.
        retry_after: seconds the provider asked for (Retry-After), if it did.
        status: HTTP status, if the failure was an HTTP response.
        request_id: the provider's request id, for its support desk.
        details: further facts for the `details` field of the `error` event.
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
        """What the `error` event carries besides code and message."""
        known = {"status": self.status, "requestId": self.request_id, "retryAfter": self.retry_after}
        return {k: v for k, v in known.items() if v is not None} | self.details


class ToolError(AgentRuntimeError):
    """Something the model can react to: its message is the tool's output, with isError set. The run goes on."""

    code: ErrorCode = "tool_error"


class TranscriptError(AgentRuntimeError):
    """A transcript that cannot be read: damaged, cut, or written by a newer version."""

    code: ErrorCode = "transcript_error"


class ReplayMismatch(AgentRuntimeError):
    """A replay asked for something its recording does not hold at this point."""

    code: ErrorCode = "replay_mismatch"
