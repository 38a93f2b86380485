"""`agent-runtime run` up to its first event. Nothing here needs an event loop, a SDK or a tokenizer, or imports one."""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import termios
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

from agent_runtime.engine import run_config
from agent_runtime.engine.run_config import new_run_id
from agent_runtime.engine.signals import Interrupted, SignalHandler
from agent_runtime.engine.stdin import read_request
from agent_runtime.errors import ExitCode, RequestError
from agent_runtime.output.event_writer import EventWriter, claim_stdout
from agent_runtime.output.masking import Masker
from agent_runtime.protocol import events
from agent_runtime.protocol.messages import too_deep
from agent_runtime.protocol.request import normalise, parse
from agent_runtime.protocol.strict_json import decode
from agent_runtime.providers.keys import received


def run_command(arguments: argparse.Namespace, overlay: dict[str, Any], interrupts: SignalHandler) -> int:
    """The whole command: read, decide, run."""
    try:
        out = claim_stdout()
    except OSError:  # there is no stdout
        return ExitCode.STDOUT_CLOSED

    def read() -> tuple[Any, bytes]:
        if arguments.request is not None:
            return _file(arguments.request), b""
        return ({}, b"") if arguments.prompt is not None else read_request(0)

    def ready() -> bool:
        """May the request be had without waiting?"""
        if arguments.request is not None or arguments.prompt is not None:
            return True
        with suppress(OSError):
            return any(fcntl.ioctl(0, termios.FIONREAD, bytes(4)))  # the count of bytes that are there
        return False

    return answer(read, overlay, out=out, interrupts=interrupts, ready=ready)


def answer(
    read: Callable[[], tuple[Any, bytes]],
    overlay: dict[str, Any],
    *,
    out: int,
    interrupts: SignalHandler,
    ready: Callable[[], bool] = lambda: False,
) -> int:
    """One request from its first byte to the exit status. `read` gives it, and what was read of stdin beyond it.

    A run that a signal ends before its request was there has no `start`; where the request is `ready`, it has.
    """
    raw: Any = {}
    try:
        interrupts.arm(ready)
        raw, rest = read()
        environ = received(os.environ)
        interrupts.disarm()
        return start(raw, overlay, out=out, stdin=0, rest=rest, environ=environ, interrupts=interrupts)
    except RequestError as error:
        return refuse(out, raw, error)
    except Interrupted:
        return stopped_early(out, raw, interrupts)
    except Exception as error:
        return broken(out, raw, error)
    finally:
        interrupts.ended()


def start(
    raw: Any,
    overlay: dict[str, Any],
    *,
    out: int,
    stdin: int,
    rest: bytes,
    environ: Mapping[str, str],
    interrupts: SignalHandler,
) -> int:
    """Check the request, decide, and run it. Raises RequestError before the first event only."""
    request, unknown = parse(merge(raw, overlay))
    if unknown:
        print(f"warning: unknown fields of the request are ignored: {', '.join(unknown)}", file=sys.stderr)
    decided = run_config.prepare(request, environ)
    from agent_runtime.engine.run import Run

    with shown(request.format, out) as stream:
        return Run(decided, out=stream, environ=environ, interrupts=interrupts).execute(stdin, rest)


def shown(format: str | None, out: int) -> AbstractContextManager[int]:
    """A context that gives the descriptor to write events to: rendered for a person, where that is wanted."""
    if format == "pretty" or (format is None and os.isatty(out)):
        from agent_runtime.cli.pretty import rendered

        return rendered(out)
    return nullcontext(out)


def merge(raw: Any, overlay: dict[str, Any]) -> Any:
    """The request with the command line's options in it: they win."""
    if not isinstance(raw, dict):
        return raw
    body, over = normalise(raw), normalise(overlay)
    if over.pop("model") is not None:
        body["model"] = overlay["model"]
    config = over.pop("config")
    if isinstance(body.get("config"), dict):
        body["config"] |= config
    return body | over


def refuse(out: int, raw: Any, error: RequestError) -> int:
    """`error` and `complete` for a request that cannot be run."""
    print(f"agent-runtime: {error}", file=sys.stderr)
    details = {"field": error.field, "expected": error.expected}
    told = events.ErrorEvent(code=error.code, message=str(error), retryable=False, details=details)
    info = events.ErrorInfo(code=error.code, message=str(error), details=details)
    return _without_run(out, raw, told, "failed", "error", ExitCode.INVALID_REQUEST, info)


def broken(out: int, raw: Any, error: Exception) -> int:
    """This program is damaged, or has a bug: that too is told by `error` and `complete`."""
    import traceback

    traceback.print_exception(error, file=sys.stderr)
    info = events.ErrorInfo(code="internal_error", message=f"{type(error).__name__}: {error}")
    told = events.ErrorEvent(code=info.code, message=info.message, retryable=False)
    return _without_run(out, raw, told, "failed", "error", ExitCode.FAILED, info)


def stopped_early(out: int, raw: Any, interrupts: SignalHandler) -> int:
    """A signal came before there was a run."""
    code = ExitCode.SIGTERM if interrupts.reason == "SIGTERM" else ExitCode.SIGINT
    return _without_run(out, raw, None, "cancelled", "cancelled", code, None)


def _without_run(
    out: int,
    raw: Any,
    told: events.ErrorEvent | None,
    status: events.Status,
    stop: events.StopReason,
    code: ExitCode,
    info: events.ErrorInfo | None,
) -> int:
    known = raw if isinstance(raw, dict) and not too_deep(raw) else {}

    def given(*names: str) -> str | None:
        return next((known[name] for name in names if isinstance(known.get(name), str)), None)

    secrets = [value for value in _texts(known.get("model")) if value]
    emitter = EventWriter(out, given("runId", "run_id") or new_run_id(), mask=Masker(secrets))
    if told:
        emitter.put(told)
    emitter.put(
        events.CompleteEvent(
            status=status,
            stop_reason=stop,
            output="",
            result="",
            error=info,
            thread_id=given("threadId", "thread_id"),
            sandbox_id=given("sandboxId", "sandbox_id"),
            rollout_id=given("rolloutId", "rollout_id"),
            target_device_id=given("targetDeviceId", "target_device_id"),
            execution_mode=given("executionMode", "execution_mode"),
            metadata=known.get("metadata"),
        )
    )
    emitter.flush()
    return ExitCode.STDOUT_CLOSED if emitter.closed else code


def _texts(value: Any) -> list[str]:
    """The keys in a request's `model`."""
    if isinstance(value, dict):
        return [item for name, item in value.items() if "key" in name.lower() and isinstance(item, str)]
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []


def _file(name: str) -> Any:
    try:
        return decode(Path(name).read_bytes())
    except OSError as error:
        raise RequestError(
            "request", f"expected a file that can be read: {name} ({error.strerror})"
        ) from error
