"""Reads any record of a run: a transcript, a file of events, a rollout of codex, a session of Claude Code."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agent_runtime.errors import TranscriptError
from agent_runtime.importers.claude import import_claude, is_claude
from agent_runtime.importers.codex import import_codex, is_codex
from agent_runtime.importers.session_lines import Json, read_lines
from agent_runtime.transcripts.reader import Transcript, read
from agent_runtime.transcripts.records import End, EventRecord, Header, RequestRecord

_HEADS = (1 << 14, 1 << 22)  # bytes by which a file is recognized: nearly always, and at most
_FIRST = 50  # lines

IMPORTERS: dict[str, Callable[[Path], Transcript]] = {"codex": import_codex, "claude": import_claude}


def read_recorded(path: Path, *, growing: bool = False) -> Transcript:
    """Return what a file has recorded as a transcript.

    From a file of events, the transcript has the events only.

    Args:
        path: the file.
        growing: the run may still be active; an incomplete last line is left out.

    Raises:
        TranscriptError: the file cannot be read, or is none of these.
    """
    match kind_of(path):
        case "events":
            return _of_events(path, growing=growing)
        case "codex" | "claude" as kind:
            return IMPORTERS[kind](path)
    return read(path, growing=growing)


def kind_of(path: Path) -> str | None:
    """Return `transcript`, `events`, `codex` or `claude`; None for anything else, and for what cannot be read."""
    for size in _HEADS:
        try:
            values = read_lines(path, size).values[:_FIRST]
        except TranscriptError:
            return None
        if kind := _kind(values):
            return kind
    return None


def _kind(values: Sequence[Json]) -> str | None:
    for value in values:
        if "kind" in value:
            return "transcript"
        if "type" in value and "seq" in value:
            return "events"
        if is_codex(value):
            return "codex"
        if is_claude(value):
            return "claude"
    return None


def _of_events(path: Path, *, growing: bool) -> Transcript:
    records: list[Any] = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        if growing and not line.endswith(b"\n"):
            break
        try:
            records.append(EventRecord(at=0, event=json.loads(line)))
        except ValueError as error:
            raise TranscriptError(f"{path}, line {number}: expected an event as JSON: {error}") from error
    first = records[0].event if records else {}
    header = Header(
        runtime_version=str(first.get("runtimeVersion", "")),
        run_id=str(first.get("runId", "")),
        created_at=str(first.get("ts", "")),
        workspace=str(first.get("workspace", "")),
    )
    request = RequestRecord(request={})
    complete = records[-1].event if records and records[-1].event.get("type") == "complete" else None
    end = [End(at=0, status=complete["status"], exit_code=0)] if complete else []
    return Transcript(path, header, request, (header, request, *records, *end))
