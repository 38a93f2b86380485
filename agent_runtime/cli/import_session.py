"""`agent-runtime import`: makes a transcript of a rollout of codex, or of a session of Claude Code."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from agent_runtime.engine.run_config import state_dir
from agent_runtime.errors import ExitCode, TranscriptError
from agent_runtime.importers.recorded import IMPORTERS, kind_of
from agent_runtime.transcripts.reader import Transcript
from agent_runtime.transcripts.store import NAME

_NAMES = {"codex": "a rollout of codex", "claude": "a session of Claude Code"}


def import_command(arguments: argparse.Namespace) -> int:
    """Run the command: write the transcript, and print its run id, or the file of `--output`."""
    path = Path(arguments.file)
    try:
        kind = kind_of(path)
        if kind is not None and kind != arguments.source:
            what = _NAMES.get(kind, "of this program: `show` and `report` read it as it is")
            raise TranscriptError(f"{path}: expected {_NAMES[arguments.source]}; this file is {what}")
        transcript = IMPORTERS[arguments.source](path)
    except TranscriptError as error:
        print(f"agent-runtime: {error}", file=sys.stderr)
        return ExitCode.INVALID_REQUEST
    for event in transcript.events:
        if event["type"] == "notice" and event["code"] == "history_repaired":
            print(f"agent-runtime: {path}: {event['message']}", file=sys.stderr)
    run_id = re.sub(r"[^\w.-]", "_", transcript.header.run_id)
    kept = state_dir(arguments.state_dir, os.environ) / "runs" / run_id / NAME
    target = Path(arguments.output) if arguments.output else kept
    try:
        if not arguments.output:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(transcript, target)
    except OSError as error:
        print(f"agent-runtime: {target}: cannot be written: {error.strerror}", file=sys.stderr)
        return ExitCode.FAILED
    print(target if arguments.output else run_id)
    return ExitCode.COMPLETED


def _write(transcript: Transcript, path: Path) -> None:
    with open(path, "w", encoding="utf-8", opener=_private) as file:
        for record in transcript.records:
            file.write(record.model_dump_json(by_alias=True) + "\n")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
