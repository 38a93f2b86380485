"""`agent-runtime report`: writes a self-contained HTML page about a recorded run."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment

from agent_runtime.cli.diff_view import DiffLine, diff_lines
from agent_runtime.engine.run_config import state_dir
from agent_runtime.errors import ExitCode, TranscriptError
from agent_runtime.protocol.messages import clean_text
from agent_runtime.protocol.text import truncate_middle
from agent_runtime.transcripts.reader import Transcript, read
from agent_runtime.transcripts.records import (
    ControlRecord,
    End,
    EventRecord,
    Header,
    ModelResponseRecord,
    PromptRecord,
    RequestRecord,
    ToolResultRecord,
)
from agent_runtime.transcripts.store import find_transcript

TEMPLATE = Path(__file__).parents[1] / "data" / "report.html"
TEXT_LIMIT = 200_000  # bytes of one output or diff; the transcript has the whole


@dataclass
class Step:
    """A step of the run as the template displays it."""

    kind: str  # thinking, text, tool, edit, server, error, notice, control
    turn: int
    title: str = ""
    text: str = ""
    at: str = ""  # time of day, UTC
    ok: bool = True
    facts: list[str] = field(default_factory=list)
    output: str = ""
    images: list[str] = field(default_factory=list)  # data: addresses
    diff: list[DiffLine] = field(default_factory=list)
    whole: str = ""  # the file with the whole of a truncated diff


@dataclass(frozen=True)
class Bar:
    """A bar of the timeline; `left` and `width` in percent of the duration of the run."""

    kind: str
    left: float
    width: float
    title: str


def report_command(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    try:
        path = find_transcript(arguments.transcript, state_dir(arguments.state_dir, os.environ))
        transcript = read_any(path)
    except TranscriptError as error:
        print(f"agent-runtime: {error}", file=sys.stderr)
        return ExitCode.INVALID_REQUEST
    page = render(transcript)
    try:
        Path(arguments.output).write_text(page, "utf-8")
    except OSError as error:
        print(f"agent-runtime: --output: {arguments.output}: {error.strerror}", file=sys.stderr)
        return ExitCode.INVALID_REQUEST
    print(f"{arguments.output}: {len(page.encode()):,} bytes", file=sys.stderr)
    return ExitCode.COMPLETED


def read_any(path: Path) -> Transcript:
    """A transcript, or a file of events as the transcript of which they are all that is known. Raises
    TranscriptError."""
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline() or b"null")
    except (OSError, ValueError):
        return read(path)
    if not (isinstance(first, dict) and "type" in first and "seq" in first):
        return read(path)
    records: list[Any] = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            records.append(EventRecord(at=0, event=json.loads(line)))
        except ValueError as error:
            raise TranscriptError(f"{path}, line {number}: expected an event as JSON: {error}") from error
    header = Header(
        runtime_version=str(first.get("runtimeVersion", "")),
        run_id=str(first.get("runId", "")),
        created_at=str(first.get("ts", "")),
        workspace=str(first.get("workspace", "")),
    )
    request = RequestRecord(request={})
    complete = records[-1].event if records[-1].event.get("type") == "complete" else None
    end = [End(at=0, status=complete["status"], exit_code=0)] if complete else []
    return Transcript(path, header, request, (header, request, *records, *end))


def render(transcript: Transcript) -> str:
    """Return the HTML page."""
    all_events = transcript.events
    by_type = {event["type"]: event for event in all_events}  # the last of each type
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(TEMPLATE.read_text("utf-8")).render(
        header=transcript.header,
        request=transcript.request.request,
        start=by_type.get("start", {}),
        complete=by_type.get("complete", {}),
        changed=changed(all_events),
        steps=steps(transcript),
        asked=request_messages(transcript),
        prompts=prompts(transcript),
        bars=timeline(transcript),
        turns=tokens(all_events),
        ended=transcript.end is not None,
    )
    return clean_text(page)


@dataclass(frozen=True)
class RequestMessage:
    """A message of the request, or of the thread that it continues."""

    role: str
    text: str
    images: list[str]
    earlier: bool = False


def request_messages(transcript: Transcript) -> list[RequestMessage]:
    """Return the input of the run: the history of its thread, the messages of the request, the prompt."""
    request = transcript.request.request
    history = transcript.request.resolved.get("past") or {}
    found = (
        []
        if request.get("messages")
        else [_message(message, earlier=True) for message in history.get("messages", ())]
    )
    found += [_message(message) for message in request.get("messages") or ()]
    if prompt := request.get("prompt") or request.get("message"):
        found.append(RequestMessage("user", str(prompt), []))
    return found


def _message(message: Any, *, earlier: bool = False) -> RequestMessage:
    """Convert a message of the request (with `content`, `parts`) or of a thread (with `blocks`)."""
    if not isinstance(message, dict):
        return RequestMessage("?", str(message), [], earlier)
    texts: list[str] = []
    images: list[str] = []
    for name in ("content", "parts", "blocks"):
        value = message.get(name)
        for part in [value] if isinstance(value, str) else value or ():
            _collect(part, texts, images)
    return RequestMessage(
        str(message.get("role", "user")), truncate_middle("\n".join(texts), TEXT_LIMIT), images, earlier
    )


def _collect(part: Any, texts: list[str], images: list[str]) -> None:
    if not isinstance(part, dict):
        texts.append(str(part))
        return
    match part.get("type"):
        case "text" | "thinking":
            texts.append(str(part.get("text", "")))
        case "image" if part.get("data"):
            images.append(f"data:{part.get('mediaType', 'image/png')};base64,{part['data']}")
        case "tool_call":
            texts.append(f"[call of {part.get('name')}: {part.get('arguments', '')}]")
        case "tool_result":
            for inner in part.get("content") or ():
                _collect(inner, texts, images)
        case kind:
            texts.append(f"[{kind} {part.get('path', '')}]")


def prompts(transcript: Transcript) -> list[dict[str, Any]]:
    """Return the system prompts and tools that the model was sent, each with the number of the call."""
    return [
        {"call": record.call + 1, "system": record.system, "tools": record.tools}
        for record in transcript.records
        if isinstance(record, PromptRecord) and (record.system is not None or record.tools is not None)
    ]


def steps(transcript: Transcript) -> list[Step]:
    """Return the steps of the run in order; results are part of the step of their call."""
    found: list[Step] = []
    calls: dict[str, Step] = {}
    turn = 0
    for record in transcript.records:
        if isinstance(record, ToolResultRecord) and record.id in calls:
            pictures = [part for part in record.content if part.type == "image"]
            calls[record.id].images = [f"data:{part.media_type};base64,{part.data}" for part in pictures]
        elif isinstance(record, ControlRecord):
            found.append(Step("control", turn, record.action, record.text or record.reason or ""))
        elif record.kind == "event":
            turn = record.event.get("turn", turn)
            _add(found, calls, record.event, turn)
    return found


def _add(found: list[Step], calls: dict[str, Step], event: dict[str, Any], turn: int) -> None:
    at = str(event.get("ts", ""))[11:19]
    match event["type"]:
        case "thinking":
            kind = "thinking" if event["kind"] == "reasoning" else "text"
            found.append(Step(kind, turn, text=event["content"], at=at))
        case "tool_call":
            calls[event["id"]] = Step(
                "tool", turn, event["tool"], _input(event["input"]), at, facts=["no result"]
            )
            found.append(calls[event["id"]])
        case "tool_result":
            step = calls.get(event["id"]) or Step("tool", turn, event["tool"], "", at)
            step.output, step.facts = truncate_middle(event["output"], TEXT_LIMIT), _facts(event)
            step.ok = not event["isError"] and event.get("exitCode") in (None, 0)
        case "file_edit":
            found.append(_edit(event, turn, at))
        case "dev_url":
            found.append(Step("server", turn, event["status"], event["url"], at, event["status"] == "up"))
        case "error":
            again = f" (again in {event['retryInMs']} ms)" if event.get("retryInMs") is not None else ""
            found.append(Step("error", turn, event["code"], event["message"] + again, at, ok=False))
        case "notice":
            found.append(Step("notice", turn, event["code"], event["message"], at))
        case "complete" if event.get("output"):
            found.append(Step("text", turn, text=event["output"], at=at))


def _edit(event: dict[str, Any], turn: int, at: str) -> Step:
    name = f"{event['oldPath']} → {event['path']}" if event.get("oldPath") else event["path"]
    facts = [f"+{event['additions']}", f"−{event['deletions']}", f"by {event['source']}"]
    diff, whole = diff_lines(event["diff"][:TEXT_LIMIT]), event.get("diffFile") or ""
    return Step("edit", turn, event["action"], name, at, facts=facts, diff=diff, whole=whole)


def changed(all_events: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Return, per file, the lines that were added and deleted over the whole run."""
    sums: dict[str, dict[str, int]] = {}
    for event in all_events:
        if event["type"] == "file_edit":
            former = sums.pop(event.get("oldPath") or event["path"], {})
            sums[event["path"]] = {
                name: former.get(name, 0) + event[name] for name in ("additions", "deletions")
            }
    return sums


def _facts(event: dict[str, Any]) -> list[str]:
    facts = [] if event["outcome"] == "completed" else [str(event["outcome"]).replace("_", " ")]
    if event.get("exitCode") is not None:
        facts.append(f"exit {event['exitCode']}")
    return [*facts, seconds(event["durationMs"])]


def timeline(transcript: Transcript) -> list[Bar]:
    """Return the bars of the timeline: model calls and tool calls."""
    spans: list[tuple[str, int, int, str]] = []
    for record in transcript.records:
        if isinstance(record, ModelResponseRecord):
            kind = "failed" if record.error else "model"
            title = f"model call {record.call}" + (f": {record.error.code}" if record.error else "")
            spans.append((kind, record.at - record.duration_ms, record.duration_ms, title))
        elif isinstance(record, ToolResultRecord):
            kind = "failed" if record.is_error else "tool"
            spans.append((kind, record.at - record.duration_ms, record.duration_ms, record.tool))
    whole = max([1, *(getattr(record, "at", 0) for record in transcript.records)])
    return [
        Bar(kind, 100 * max(0, begin) / whole, max(0.15, 100 * length / whole), f"{title}, {seconds(length)}")
        for kind, begin, length, title in spans
    ]


def tokens(all_events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return, per model call, the uncached input, cached input and output: in tokens, and in percent of the maximum."""
    reports = [event for event in all_events if event["type"] == "usage"]
    most = max([1, *(report["totalTokens"] for report in reports)])
    rows = [
        {
            "turn": report["turn"],
            "fresh": max(0, report["inputTokens"] - report["cachedInputTokens"]),
            "cached": report["cachedInputTokens"],
            "output": report["outputTokens"],
        }
        for report in reports
    ]
    return [
        row | {f"{name}_share": 100 * row[name] / most for name in ("fresh", "cached", "output")}
        for row in rows
    ]


def seconds(milliseconds: int) -> str:
    """Format a duration."""
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def _input(value: Any) -> str:
    if isinstance(value, dict) and len(value) == 1 and isinstance(only := next(iter(value.values())), str):
        return truncate_middle(only, TEXT_LIMIT)
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return truncate_middle(text, TEXT_LIMIT)
