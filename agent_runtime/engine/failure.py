"""Reports runs that end before they start: an invalid request, an early signal, a damaged transcript."""

from __future__ import annotations

import os
import sys
from typing import Any

from agent_runtime.engine.run_config import new_run_id
from agent_runtime.errors import ErrorCode, ExitCode, RequestError
from agent_runtime.output.event_writer import EventWriter
from agent_runtime.output.masking import Masker
from agent_runtime.protocol import events
from agent_runtime.protocol.messages import too_deep
from agent_runtime.protocol.request import Request

# Identifiers chosen by the launcher; repeated in `start` and `complete`.
_IDENTITY = (
    "thread_id",
    "sandbox_id",
    "rollout_id",
    "target_device_id",
    "idempotency_key",
    "execution_mode",
)


def identity(request: Request) -> dict[str, Any]:
    """Return the fields of `start` and `complete` that are copied from the request, including `metadata`."""
    return {name: getattr(request, name) for name in (*_IDENTITY, "metadata")}


def wants_text(format: object, out: int) -> bool:
    """Return whether events are to be rendered as text: for the format `pretty`, or by default on a terminal."""
    return format == "pretty" or (format != "ndjson" and os.isatty(out))


def refuse(out: int, raw: Any, error: RequestError, *, format: object = None) -> int:
    """Write `error` and `complete` for an invalid request; returns the exit status."""
    return end_without_run(
        out,
        raw,
        format=format,
        code=error.code,
        message=str(error),
        details=error.details,
        exit_code=ExitCode.INVALID_REQUEST,
    )


def interrupted(out: int, raw: Any, reason: str | None, *, format: object = None) -> int:
    """Write `complete` for a signal that arrived before the run had started; returns the exit status."""
    code = ExitCode.SIGTERM if reason == "SIGTERM" else ExitCode.SIGINT
    return _write(out, raw, None, format=format, status="cancelled", stop_reason="cancelled", exit_code=code)


def crashed(out: int, raw: Any, error: Exception, *, format: object = None) -> int:
    """Write `error` and `complete` for an unexpected exception, its traceback to stderr; returns the exit status."""
    import traceback

    traceback.print_exception(error, file=sys.stderr)
    message = f"{type(error).__name__}: {error}"
    info = events.ErrorInfo(code="internal_error", message=message)
    return _write(
        out, raw, info, format=format, status="failed", stop_reason="error", exit_code=ExitCode.FAILED
    )


def end_without_run(
    out: int,
    raw: Any,
    *,
    format: object = None,
    code: ErrorCode,
    message: str,
    details: dict[str, Any] | None = None,
    exit_code: ExitCode,
) -> int:
    """Write `error` and `complete`, and the message to stderr.

    Args:
        out: descriptor of the event stream.
        raw: the request as it was read, of any type; its identifiers are copied into `complete` where present.
        format: the requested output format; with `pretty` only the message on stderr is written.
        code: the code of the error.
        message: what is wrong, what was expected, and what to do.
        details: the details of the error.
        exit_code: the exit status of the program.

    Returns:
        The exit status: `exit_code`, or STDOUT_CLOSED when the reader has gone.
    """
    print(f"agent-runtime: {message}", file=sys.stderr)
    info = events.ErrorInfo(code=code, message=message, details=details)
    return _write(out, raw, info, format=format, status="failed", stop_reason="error", exit_code=exit_code)


def _write(
    out: int,
    raw: Any,
    info: events.ErrorInfo | None,
    *,
    format: object,
    status: events.Status,
    stop_reason: events.StopReason,
    exit_code: ExitCode,
) -> int:
    given = raw if isinstance(raw, dict) and not too_deep(raw) else {}
    if wants_text(format or given.get("format"), out):
        return exit_code
    secrets = [value for value in _keys(given.get("model")) if value]
    writer = EventWriter(out, _text(given, "run_id") or new_run_id(), mask=Masker(secrets))
    if info:
        writer.put(
            events.ErrorEvent(code=info.code, message=info.message, retryable=False, details=info.details)
        )
    named: dict[str, Any] = {name: _text(given, name) for name in _IDENTITY}
    writer.put(
        events.CompleteEvent(
            status=status,
            stop_reason=stop_reason,
            output="",
            result="",
            error=info,
            metadata=given.get("metadata"),
            **named,
        )
    )
    writer.flush()
    return ExitCode.STDOUT_CLOSED if writer.closed else exit_code


def _text(given: dict[str, Any], name: str) -> str | None:
    """Return a string field of the raw request, in snake_case or camelCase."""
    first, *rest = name.split("_")
    camel = first + "".join(word.capitalize() for word in rest)
    return next((given[key] for key in (camel, name) if isinstance(given.get(key), str)), None)


def _keys(model: Any) -> list[str]:
    """Return the API keys in a request's `model`."""
    if isinstance(model, dict):
        return [item for name, item in model.items() if "key" in name.lower() and isinstance(item, str)]
    return [text for item in model for text in _keys(item)] if isinstance(model, list) else []
