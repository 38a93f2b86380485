"""`agent-runtime export`: a recorded run as a trajectory (ATIF) or as a trace (OTLP)."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from agent_runtime.engine.run_config import state_dir
from agent_runtime.errors import ExitCode, TranscriptError
from agent_runtime.importers.recorded import read_recorded
from agent_runtime.tracing.recorded import otlp_json, spans_of
from agent_runtime.transcripts.atif import trajectory
from agent_runtime.transcripts.reader import Transcript
from agent_runtime.transcripts.store import find_transcript


def export_command(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    try:
        path = find_transcript(arguments.run, state_dir(arguments.state_dir, os.environ))
        transcript = read_recorded(path)
        exported = _otlp(transcript) if arguments.format == "otlp" else trajectory(transcript.records)
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


def _otlp(transcript: Transcript) -> dict[str, Any]:
    spans = spans_of(transcript.events, transcript.request.request.get("traceparent"))
    if not spans:
        raise ValueError("the run has no `start` event: there is no trace")
    return otlp_json(spans)
