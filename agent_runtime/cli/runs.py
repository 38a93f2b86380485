"""`agent-runtime runs` and `show`: list the kept runs, and print one of them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic.alias_generators import to_camel

from agent_runtime.cli.pretty import Pretty
from agent_runtime.engine.run_config import state_dir
from agent_runtime.errors import ExitCode, TranscriptError
from agent_runtime.importers.recorded import read_recorded
from agent_runtime.transcripts.reader import Transcript
from agent_runtime.transcripts.records import EventRecord, PromptRecord
from agent_runtime.transcripts.store import KeptRun, find_transcript, kept_runs

_PROMPT = 60  # characters


def runs_command(arguments: argparse.Namespace) -> int:
    """Print the kept runs, the latest first."""
    kept = kept_runs(state_dir(arguments.state_dir, os.environ))[: arguments.limit]
    if arguments.json:
        print(json.dumps([_as_json(run) for run in kept], indent=2, ensure_ascii=False))
        return ExitCode.COMPLETED
    if not kept:
        print("no runs are kept", file=sys.stderr)
    for run in kept:
        status = run.status or "no end"
        prompt = " ".join(run.prompt.split())
        prompt = prompt if len(prompt) <= _PROMPT else f"{prompt[: _PROMPT - 1]}…"
        print(
            f"{run.run_id:<30}  {run.started[:16].replace('T', ' ')}  {status:<9}  {run.model or '?':<20}  {prompt}"
        )
    return ExitCode.COMPLETED


def show_command(arguments: argparse.Namespace) -> int:
    """Print a run as `--format pretty` does."""
    try:
        path = find_transcript(arguments.run, state_dir(arguments.state_dir, os.environ))
        transcript = read_recorded(path)
    except TranscriptError as error:
        print(f"agent-runtime: {error}", file=sys.stderr)
        return ExitCode.INVALID_REQUEST
    pretty = Pretty(sys.stdout)
    for event in _displayed(transcript):
        pretty.write(event)
    return ExitCode.COMPLETED


def _displayed(transcript: Transcript) -> Iterator[dict[str, Any]]:
    """Yield the events; for an imported session, also the messages of the user at their place."""
    if not transcript.request.resolved.get("imported"):
        yield from transcript.events
        return
    for record in transcript.records:
        if isinstance(record, EventRecord):
            yield record.event
        elif isinstance(record, PromptRecord):
            for message in record.messages:
                texts = (block.get("text", "[image]") for block in message["blocks"])
                yield {"type": "user", "text": "\n".join(texts)}


def _as_json(run: KeptRun) -> dict[str, Any]:
    return {
        to_camel(name): str(value) if isinstance(value, Path) else value
        for name, value in asdict(run).items()
    }
