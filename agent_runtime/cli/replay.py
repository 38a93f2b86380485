"""`agent-runtime replay`: the same run again, from its transcript, without a model.

Everything but the model's transport (and the tools, with `--tools recorded`) is what a live run is made of:
request, wire, loop, executor, emitter.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from agent_runtime import tools
from agent_runtime.cli.run import refuse, shown, stopped_early
from agent_runtime.conversation.initial_history import InitialHistory
from agent_runtime.engine import run_config
from agent_runtime.engine.replay_writer import ReplayEventWriter
from agent_runtime.engine.run import Run
from agent_runtime.engine.run_config import RunConfig
from agent_runtime.engine.signals import Interrupted, SignalHandler
from agent_runtime.errors import AgentRuntimeError, ExitCode, RequestError, TranscriptError
from agent_runtime.output.event_writer import EventWriter, claim_stdout
from agent_runtime.protocol import events
from agent_runtime.protocol.messages import UserMessage
from agent_runtime.protocol.request import parse
from agent_runtime.transcripts.player import Player
from agent_runtime.transcripts.reader import read
from agent_runtime.transcripts.records import Transcript
from agent_runtime.transcripts.rewrite import Change, path_change, rewrite


def replay_command(arguments: argparse.Namespace) -> int:
    """The whole command; returns the exit status."""
    return framed(lambda out, interrupts: _replay(arguments, out, interrupts))


def _replay(arguments: argparse.Namespace, out: int, interrupts: SignalHandler) -> int:
    transcript = read(Path(arguments.transcript))
    speed = parse_speed(arguments.speed)
    overrides = {"stateDir": arguments.state_dir, "record": arguments.record, "format": arguments.format}
    recorded = arguments.tools == "recorded"
    decided = replan(transcript, arguments.workspace, overrides, os.environ, recorded=recorded)
    with shown(decided.request.format, out) as stream:
        return play(
            transcript, decided, stream, interrupts, recorded=recorded, speed=speed, verify=arguments.verify
        )


def framed(body: Callable[[int, SignalHandler], int]) -> int:
    """A command that plays a transcript, with stdout taken for its events, and every failure told by them."""
    interrupts = SignalHandler()
    try:
        out = claim_stdout()
    except OSError:  # there is no stdout
        return ExitCode.STDOUT_CLOSED
    try:
        interrupts.arm()
        return body(out, interrupts)
    except RequestError as error:
        return refuse(out, {}, error)
    except TranscriptError as error:
        return damaged(out, error)
    except Interrupted:
        return stopped_early(out, {}, interrupts)


def play(
    transcript: Transcript,
    decided: RunConfig,
    out: int,
    interrupts: SignalHandler,
    *,
    recorded: bool,
    speed: float = math.inf,
    verify: bool = False,
    change: Change | None = None,
) -> int:
    """Run the transcript; returns the exit status. See Player for `speed` and `change`."""
    player = Player(transcript, workspace=decided.workspace, speed=speed, change=change)
    emitter = ReplayEventWriter(out, decided, transcript, recorded=recorded, verify=verify)
    run = Run(
        decided,
        out=out,
        environ=os.environ,
        interrupts=interrupts,
        player=player,
        recorded=recorded,
        emitter=emitter,
        past=past_of(transcript, decided),
    )
    code = run.execute(None)
    if emitter.divergence is not None:
        print(emitter.divergence, file=sys.stderr)
        return ExitCode.STDOUT_CLOSED if emitter.closed else ExitCode.REPLAY_MISMATCH
    return code


def replan(
    transcript: Transcript,
    workspace: str | None,
    overrides: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    recorded: bool,
) -> RunConfig:
    """The recorded decisions, in this place. Raises RequestError, or TranscriptError where they are damaged.

    Real tools work in `workspace`, by default the current folder. Recorded ones need none: what they say is
    about the recorded workspace, unless another one is named.
    """
    header = transcript.header
    here = str(Path(workspace or environ.get("AGENT_RUNTIME_WORKSPACE") or ".").absolute())
    named = workspace or (header.workspace if recorded else here)
    wanted = rewrite(transcript.request.request, path_change(header.workspace, str(Path(named).absolute())))
    for name in ("runId", "record", "stateDir", "format", "agentsDir", "mounts", "toolUser"):
        wanted.pop(name, None)
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        request, _ = parse(wanted | given | {"workspace": "/" if recorded else here})
        decided = run_config.prepare(request, environ, resolved(transcript))
    except RequestError as error:
        if error.field in given or error.field == "workspace":
            raise
        raise TranscriptError(f"{transcript.path}, line 2: `request` record: {error}") from error
    except ValueError as error:
        raise TranscriptError(f"{transcript.path}, line 2: `request` record: resolved: {error}") from error
    return replace(decided, workspace=Path(named).absolute()) if recorded else decided


def resolved(transcript: Transcript) -> run_config.Resolved:
    """The recorded decisions. Raises ValueError that names what is damaged."""
    adapter = TypeAdapter(run_config.Resolved)
    found = adapter.validate_json(json.dumps(transcript.request.resolved), strict=True)
    if unknown := set(found.tools) - set(tools.names()):
        raise ValueError(f"tools: there is no tool {', '.join(sorted(unknown))}")
    if not found.endpoints or any(min(each.context_window, each.max_output) < 1 for each in found.endpoints):
        raise ValueError("endpoints: expected at least one, with a context window and an output")
    return found


def past_of(transcript: Transcript, decided: RunConfig) -> InitialHistory:
    """The history that the recorded run began with. Raises TranscriptError."""
    recorded = transcript.request.resolved.get("past")
    if recorded is None:
        return InitialHistory(task=UserMessage.of(decided.request.prompt or ""))
    move = path_change(transcript.header.workspace, str(decided.workspace))
    try:
        return InitialHistory.replayed(rewrite(recorded, move))
    except (ValueError, AttributeError) as error:
        raise TranscriptError(
            f"{transcript.path}, line 2: `request` record: resolved.past: {error}"
        ) from error


def parse_speed(text: str) -> float:
    """A factor above 0, or `max`. Raises RequestError."""
    try:
        speed = math.inf if text == "max" else float(text)
    except ValueError:
        speed = math.nan
    if not speed > 0:
        raise RequestError("speed", f"expected a number above 0, or max: {text}")
    return speed


def damaged(out: int, error: AgentRuntimeError) -> int:
    """`error` and `complete` for a transcript that cannot be played."""
    print(f"agent-runtime: {error}", file=sys.stderr)
    info = events.ErrorInfo(code=error.code, message=str(error))
    emitter = EventWriter(out, run_config.new_run_id())
    emitter.put(events.ErrorEvent(code=error.code, message=str(error), retryable=False))
    emitter.put(events.CompleteEvent(status="failed", stop_reason="error", output="", result="", error=info))
    emitter.flush()
    return ExitCode.STDOUT_CLOSED if emitter.closed else ExitCode.INVALID_REQUEST
