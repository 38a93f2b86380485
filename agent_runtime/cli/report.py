"""`agent-runtime report`: writes a self-contained HTML page about a recorded run."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from agent_runtime.engine.run_config import state_dir
from agent_runtime.errors import ExitCode, TranscriptError
from agent_runtime.importers.recorded import read_recorded
from agent_runtime.page.report import render
from agent_runtime.transcripts.store import find_transcript


def report_command(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    try:
        path = find_transcript(arguments.transcript, state_dir(arguments.state_dir, os.environ))
        page = render(read_recorded(path))
    except TranscriptError as error:
        print(f"agent-runtime: {error}", file=sys.stderr)
        return ExitCode.INVALID_REQUEST
    try:
        Path(arguments.output).write_text(page, "utf-8")
    except OSError as error:
        print(f"agent-runtime: --output: {arguments.output}: {error.strerror}", file=sys.stderr)
        return ExitCode.INVALID_REQUEST
    print(f"{arguments.output}: {len(page.encode()):,} bytes", file=sys.stderr)
    return ExitCode.COMPLETED
