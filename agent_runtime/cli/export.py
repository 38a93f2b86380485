"""`agent-runtime export`: a recorded run as a trajectory (ATIF) or as a trace (OTLP)."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from agent_runtime.cli.runs import events_of
from agent_runtime.engine.run_config import state_dir
from agent_runtime.errors import ExitCode, TranscriptError
from agent_runtime.tracing.recorded import otlp_json, spans_of
from agent_runtime.transcripts.atif import trajectory
from agent_runtime.transcripts.reader import Transcript, read
from agent_runtime.transcripts.records import EventRecord
from agent_runtime.transcripts.store import find_transcript


def export_command(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    try:
        path = find_transcript(arguments.run, state_dir(arguments.state_dir, os.environ))
        exported = _otlp(path) if arguments.format == "otlp" else _atif(path)
    except (TranscriptError, ValueError) as error:
        print(f"agent-runtime: {error}", file=sys.stderr)
        return ExitCode.INVALID_REQUEST
    text = json.dumps(exported, indent=2, ensure_ascii=False) + "\n"
    if arguments.output is None:
        print(text, end="")
        return ExitCode.COMPLETED
    try:
        Path(arguments.output).write_text(text, "utf-8")
    except OSError as error:
        print(f"agent-runtime: {arguments.output}: cannot be written: {error.strerror}", file=sys.stderr)
        return ExitCode.FAILED
    return ExitCode.COMPLETED


def _transcript(path: Path) -> Transcript | None:
    """Return the transcript; None for a file of events. Raises TranscriptError."""
    with path.open("rb") as file:
        is_events = file.read(1 << 10).lstrip().startswith((b'{"type"', b'{"seq"'))
    return None if is_events else read(path)


def _atif(path: Path) -> dict[str, Any]:
    if transcript := _transcript(path):
        return trajectory(transcript.records)
    return trajectory(EventRecord.model_construct(at=0, event=event) for event in events_of(path))


def _otlp(path: Path) -> dict[str, Any]:
    transcript = _transcript(path)
    given = transcript.request.request.get("traceparent") if transcript else None
    spans = spans_of(transcript.events if transcript else events_of(path), given)
    if not spans:
        raise ValueError("the run has no `start` event: there is no trace")
    return otlp_json(spans)
