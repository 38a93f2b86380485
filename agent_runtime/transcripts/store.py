"""Finds and lists the transcripts that runs keep in the state directory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent_runtime.errors import TranscriptError
from agent_runtime.lazy import dataclass

NAME = "transcript.ndjson"  # in the folder of a run
_TAIL = 1 << 21  # bytes at the end of a transcript that contain its last records (an event has at most 1 MiB)


@dataclass(frozen=True)
class KeptRun:
    """The summary of a run. Fields that are not known are None: the run is still active, or was killed.

    Attributes:
        started: RFC 3339, UTC.
        status: that of `complete`; None while the run is active, or when it was killed.
        tokens: input and output tokens of all model calls.
        size: size of the transcript in bytes.
    """

    run_id: str
    started: str
    status: str | None
    stop_reason: str | None
    agent: str | None
    model: str | None
    workspace: str
    prompt: str
    iterations: int | None
    tokens: int | None
    duration_ms: int | None
    size: int
    path: Path


def kept_runs(state_dir: Path) -> list[KeptRun]:
    """Return all runs with a transcript, the latest first. Transcripts that cannot be read are left out."""
    found = []
    with suppress(OSError):
        for folder in (state_dir / "runs").iterdir():
            if folder.is_symlink():  # a link, named after the id that a run was given when it was thawed
                continue
            with suppress(OSError, ValueError, KeyError):
                found.append(summary(folder / NAME))
    return sorted(found, key=lambda run: run.started, reverse=True)


def find_transcript(run: str, state_dir: Path) -> Path:
    """Return the transcript of a run.

    Args:
        run: `last`, a run id or a unique prefix of it, or the path of a file.
        state_dir: the state directory.

    Raises:
        TranscriptError: no run matches, or more than one.
    """
    if os.path.lexists(run):
        return Path(run)
    runs = state_dir / "runs"
    exact = runs / run.replace(":", "_") / NAME
    if os.sep not in run and exact.exists():
        return exact
    if run == "last":
        if kept := kept_runs(state_dir):
            return kept[0].path
        raise TranscriptError(f"no run is kept in {runs}; runs keep a transcript unless --no-record is given")
    matching = [kept for kept in kept_runs(state_dir) if kept.run_id.startswith(run)]
    if len(matching) == 1:
        return matching[0].path
    if matching:
        names = ", ".join(kept.run_id for kept in matching[:5])
        raise TranscriptError(f"{run}: expected one run, found {len(matching)}: {names}")
    raise TranscriptError(
        f"{run}: there is no such file, and no run of that id in {runs};"
        " expected a run id (`agent-runtime runs` lists them), `last`, or a transcript"
    )


def summary(path: Path) -> KeptRun:
    """Return the summary of a transcript. Raises OSError, ValueError or KeyError when it cannot be read."""
    with path.open("rb") as file:
        header, request = json.loads(file.readline()), json.loads(file.readline() or b"{}")
        start = _first_event(file)
        complete = _last_event(file)
    size = path.stat().st_size
    asked = request.get("request", {})
    usage = complete.get("usage") or {}
    prompt = asked.get("prompt") or asked.get("message") or _last_text(asked.get("messages"))
    return KeptRun(
        run_id=header["runId"],
        started=header["createdAt"],
        status=complete.get("status"),
        stop_reason=complete.get("stopReason"),
        agent=start.get("agent"),
        model=start.get("model"),
        workspace=header["workspace"],
        prompt=str(prompt),
        iterations=complete.get("iterations"),
        tokens=usage.get("totalTokens"),
        duration_ms=complete.get("durationMs"),
        size=size,
        path=path,
    )


def _first_event(file: Any) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(file.readline() or b"{}").get("event", {})
    return event


def _last_event(file: Any) -> dict[str, Any]:
    """Return the `complete` event; empty when the transcript does not end with one."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - _TAIL))
    for line in _backwards(file.read()):
        with suppress(ValueError):
            record = json.loads(line)
            if record.get("kind") == "event":
                event: dict[str, Any] = record["event"]
                return event if event.get("type") == "complete" else {}
    return {}


def _backwards(data: bytes) -> Iterator[bytes]:
    return (line for line in reversed(data.splitlines()) if line)


def _last_text(messages: Any) -> str:
    last = messages[-1] if isinstance(messages, list) and messages else {}
    content = last.get("content", "") if isinstance(last, dict) else ""
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content)
