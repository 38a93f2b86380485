"""`agent-runtime run` up to its first event. To start fast, it imports no event loop, HTTP client or tokenizer."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
import termios
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from agent_runtime.cli.options import named_by_option, read_file
from agent_runtime.engine import failure, run_config
from agent_runtime.engine.run_config import RunConfig
from agent_runtime.engine.signals import Interrupted, SignalHandler
from agent_runtime.engine.stdin import read_request
from agent_runtime.errors import ExitCode, RequestError
from agent_runtime.output.event_writer import claim_stdout
from agent_runtime.protocol.request import parse
from agent_runtime.protocol.request_forms import normalise
from agent_runtime.protocol.strict_json import decode
from agent_runtime.providers.keys import received


def run_command(arguments: argparse.Namespace, overlay: dict[str, Any], signals: SignalHandler) -> int:
    """Run the command: read the request, resolve it, execute the run. Returns the exit status."""
    try:
        out = claim_stdout()
    except OSError:  # there is no stdout
        return ExitCode.STDOUT_CLOSED

    def read() -> tuple[Any, bytes]:
        if arguments.request is not None:
            return decode(read_file(arguments.request)), b""
        return ({}, b"") if arguments.prompt is not None else read_request(0)

    def ready() -> bool:
        """Return whether the request can be read without waiting."""
        if arguments.request is not None or arguments.prompt is not None:
            return True
        with suppress(OSError):
            return any(fcntl.ioctl(0, termios.FIONREAD, bytes(4)))  # the number of bytes that can be read
        return False

    return answer(read, overlay, out=out, signals=signals, ready=ready, dry_run=arguments.dry_run)


def answer(
    read: Callable[[], tuple[Any, bytes]],
    overlay: dict[str, Any],
    *,
    out: int,
    signals: SignalHandler,
    ready: Callable[[], bool] = lambda: False,
    dry_run: bool = False,
    control: int | None = None,
) -> int:
    """Handle one request; returns the exit status.

    Args:
        read: reads the request, and returns it with the bytes that were read from stdin after it.
        overlay: fields from the command line, which override the request.
        out: descriptor of the event stream.
        signals: the signals that cancel the run. A run that is cancelled before its request was read has no `start`.
        ready: returns whether the request can be read without waiting: then it is read in spite of an early signal.
        dry_run: print the configuration only.
        control: descriptor of a socket for control messages beside stdin.
    """
    raw: Any = {}
    try:
        signals.arm(ready)
        raw, rest = read()
        environ = received(os.environ)
        signals.disarm()
        signals.hold()
        return start(
            raw,
            overlay,
            out=out,
            stdin=0,
            rest=rest,
            environ=environ,
            signals=signals,
            dry_run=dry_run,
            control=control,
        )
    except RequestError as error:
        error = named_by_option(error, overlay)
        return failure.refuse(out, raw, error, format=overlay.get("format"))
    except Interrupted:
        return failure.interrupted(out, raw, signals.reason, format=overlay.get("format"))
    except Exception as error:
        return failure.crashed(out, raw, error, format=overlay.get("format"))
    finally:
        signals.ended()


def start(
    raw: Any,
    overlay: dict[str, Any],
    *,
    out: int,
    stdin: int,
    rest: bytes,
    environ: Mapping[str, str],
    signals: SignalHandler,
    dry_run: bool,
    control: int | None = None,
) -> int:
    """Validate and resolve the request, and execute the run. Raises RequestError, only before the first event."""
    request, unknown = parse(merge(raw, overlay))
    if unknown:
        print(f"warning: unknown fields of the request are ignored: {', '.join(unknown)}", file=sys.stderr)
    if failure.wants_text(request.format, out):
        from agent_runtime.cli.terminal import is_live

        if is_live(out):  # texts are displayed while they arrive
            request = request.model_copy(update={"partial": True})
    config = run_config.prepare(request, environ)
    if dry_run:
        return _dry_run(config, environ, overlay.get("format"), out)
    from agent_runtime.engine.run import Run

    with formatted(request.format, out) as stream:
        return Run(config, out=stream, environ=environ, signals=signals).execute(stdin, rest, control)


def _dry_run(config: RunConfig, environ: Mapping[str, str], format: str | None, out: int) -> int:
    from agent_runtime.cli.dry_run import as_text, dry_run

    plan = dry_run(config, environ)
    text = as_text(plan) if failure.wants_text(format, out) else f"{json.dumps(plan, ensure_ascii=False)}\n"
    with open(out, "w", encoding="utf-8", errors="replace", closefd=False) as file:
        file.write(text)
    return ExitCode.COMPLETED


def formatted(format: str | None, out: int) -> AbstractContextManager[int]:
    """Return a context manager for the descriptor that takes events: `out`, or one that renders them as text."""
    if failure.wants_text(format, out):
        from agent_runtime.cli.terminal import rendered

        return rendered(out)
    return nullcontext(out)


def merge(raw: Any, overlay: dict[str, Any]) -> Any:
    """Merge the options of the command line into the request; they take precedence."""
    if not isinstance(raw, dict):
        return raw
    body, over = normalise(raw), normalise(overlay)
    if over.pop("model") is not None:
        body["model"] = overlay["model"]
    config = over.pop("config")
    if isinstance(body.get("config"), dict):
        body["config"] |= config
    return body | over
