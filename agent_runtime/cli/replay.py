"""`agent-runtime replay`: repeats a run from its transcript, without a model.

A replay uses the same code as a live run, except for the model's transport and, with `--tools recorded`, the tools.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from agent_runtime import tools
from agent_runtime.cli.options import named_by_option
from agent_runtime.cli.run import formatted
from agent_runtime.engine import failure, run_config
from agent_runtime.engine.replay import Replay
from agent_runtime.engine.replay_writer import ReplayEventWriter
from agent_runtime.engine.run import Run
from agent_runtime.engine.run_config import RunConfig, state_dir
from agent_runtime.engine.signals import Interrupted, SignalHandler
from agent_runtime.errors import ExitCode, RequestError, TranscriptError
from agent_runtime.models.twin import adapter_of
from agent_runtime.output.event_writer import claim_stdout
from agent_runtime.protocol.request import parse
from agent_runtime.providers.endpoint_records import current_form
from agent_runtime.transcripts.reader import Transcript, read
from agent_runtime.transcripts.rewrite import path_change, rewrite
from agent_runtime.transcripts.store import find_transcript

# fields that only an option can give
_OVERRIDES: dict[str, Any] = dict.fromkeys(("stateDir", "record", "format"))


def replay_command(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    return reported(partial(_replay, arguments), arguments.format)


def _replay(arguments: argparse.Namespace, out: int, signals: SignalHandler) -> int:
    transcript = read(find_transcript(arguments.transcript, state_dir(arguments.state_dir, os.environ)))
    if imported := transcript.request.resolved.get("imported"):
        source = imported.get("source") if isinstance(imported, dict) else imported
        raise TranscriptError(
            f"{transcript.path}: imported from {source}, whose files have no responses of the provider to replay;"
            " `show`, `report` and `export` read it"
        )
    replay = Replay(
        transcript,
        recorded_tools=arguments.tools == "recorded",
        verify=arguments.verify or arguments.verify_requests,
        verify_requests=arguments.verify_requests,
        strict=arguments.strict,
        masks=[parse_mask(pattern) for pattern in arguments.mask],
        keep_servers=arguments.keep_servers,
        speed=parse_speed(arguments.speed),
    )
    overrides = {"stateDir": arguments.state_dir, "record": arguments.record, "format": arguments.format}
    config = replan(
        transcript, arguments.workspace, overrides, os.environ, recorded_tools=replay.recorded_tools
    )
    signals.hold()
    with formatted(config.request.format, out) as stream:
        return play(replay, config, stream, signals)


def reported(body: Callable[[int, SignalHandler], int], format: str | None) -> int:
    """Run a command that plays a transcript: claim stdout, handle signals, and report failures as events."""
    signals = SignalHandler()
    try:
        out = claim_stdout()
    except OSError:  # there is no stdout
        return ExitCode.STDOUT_CLOSED
    try:
        signals.arm()
        return body(out, signals)
    except RequestError as error:
        return failure.refuse(out, {}, named_by_option(error, _OVERRIDES), format=format)
    except TranscriptError as error:
        return failure.end_without_run(
            out,
            {},
            format=format,
            code=error.code,
            message=str(error),
            exit_code=ExitCode.INVALID_REQUEST,
        )
    except Interrupted:
        return failure.interrupted(out, {}, signals.reason, format=format)
    finally:
        signals.ended()


def play(replay: Replay, config: RunConfig, out: int, signals: SignalHandler) -> int:
    """Play a transcript; returns the exit status."""
    run = Run(config, out=out, environ=os.environ, signals=signals, replay=replay)
    code = run.execute(None)
    divergence = run.writer.divergence if isinstance(run.writer, ReplayEventWriter) else None
    if divergence is not None:
        print(divergence, file=sys.stderr)
        return ExitCode.STDOUT_CLOSED if run.writer.closed else ExitCode.REPLAY_MISMATCH
    return code


def replan(
    transcript: Transcript,
    workspace: str | None,
    overrides: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    recorded_tools: bool,
) -> RunConfig:
    """Return the recorded configuration, adapted to this machine.

    Real tools work in `workspace`. Recorded ones need none: their outputs refer to the recorded workspace, unless
    another one is given.

    Raises:
        RequestError: the workspace or an override is invalid.
        TranscriptError: the recorded request is damaged.
    """
    header = transcript.header
    given_workspace = workspace or environ.get("AGENT_RUNTIME_WORKSPACE")
    if not (given_workspace or recorded_tools):
        raise RequestError(
            "workspace",
            "expected a folder in which the commands of the transcript are executed;"
            " give --workspace DIR, or --tools recorded to execute nothing",
            label="--workspace",
        )
    here = str(Path(given_workspace or ".").absolute())
    named = workspace or (header.workspace if recorded_tools else here)
    wanted = rewrite(transcript.request.request, path_change(header.workspace, str(Path(named).absolute())))
    for name in ("runId", "record", "stateDir", "format", "agentsDir", "skillsDir", "mounts", "toolUser"):
        wanted.pop(name, None)
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        request, _ = parse(wanted | given | {"workspace": "/" if recorded_tools else here})
        config = run_config.prepare(request, environ, resolved(transcript))
    except RequestError as error:
        if error.field == "workspace":
            raise error.labelled("--workspace" if workspace else "AGENT_RUNTIME_WORKSPACE") from error
        if error.field in given:
            raise named_by_option(error, given) from error
        raise TranscriptError(f"{transcript.path}, line 2: `request` record: {error}") from error
    except ValueError as error:
        raise TranscriptError(f"{transcript.path}, line 2: `request` record: resolved: {error}") from error
    return replace(config, workspace=Path(named).absolute()) if recorded_tools else config


def resolved(transcript: Transcript) -> run_config.Resolved:
    """Return the recorded configuration. Raises ValueError, which names what is damaged."""
    recorded = dict(transcript.request.resolved)
    if isinstance(endpoints := recorded.get("endpoints"), list):
        recorded["endpoints"] = [current_form(endpoint) for endpoint in endpoints]
    found: run_config.Resolved = adapter_of(run_config.Resolved).validate_json(
        json.dumps(recorded), strict=True
    )
    built_in = {name for name in found.tools if not name.startswith(run_config.MCP_PREFIX)}
    if unknown := built_in - set(tools.names()):
        raise ValueError(f"tools: there is no tool {', '.join(sorted(unknown))}")
    if not found.endpoints or any(min(each.context_window, each.max_output) < 1 for each in found.endpoints):
        raise ValueError("endpoints: expected at least one, with a context window and an output")
    return found


def parse_mask(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of `--mask`. Raises RequestError."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise RequestError(
            "mask", f"expected a regular expression: {pattern} ({error})", label="--mask"
        ) from None


def parse_speed(text: str) -> float:
    """Return the factor of `--speed`, infinity for `max`. Raises RequestError."""
    try:
        speed = math.inf if text == "max" else float(text)
    except ValueError:
        speed = math.nan
    if not speed > 0:
        raise RequestError("speed", f"expected a number above 0, or max: {text}", label="--speed")
    return speed
