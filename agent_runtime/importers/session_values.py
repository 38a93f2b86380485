"""Values of imported sessions: times, texts, the final event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from agent_runtime.protocol import events as event
from agent_runtime.protocol.messages import Image, Text, Usage
from agent_runtime.protocol.text import truncate_middle
from agent_runtime.transcripts.records import ToolResultRecord

UNKNOWN_TIME = "1970-01-01T00:00:00.000Z"
_MAX_TEXT = 200_000  # bytes of a text in an event; the whole output of a tool is in its own record
Content = tuple[Text | Image, ...]


def cut(text: str) -> str:
    """Return a text that fits into an event, its middle left out when it is long."""
    return truncate_middle(text, _MAX_TEXT)


def text_of(content: Content) -> str:
    """Return the texts of a content, joined."""
    return "\n".join(part.text for part in content if isinstance(part, Text))


def dumped(value: event.Event) -> dict[str, Any]:
    """Return an event as JSON."""
    return value.model_dump(mode="json", by_alias=True)


def parsed_time(text: Any) -> str | None:
    """Return a time as events have it; None when it is not one. Times without a zone are UTC."""
    try:
        time = datetime.fromisoformat(text)
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (TypeError, ValueError, OverflowError):
        return None


def milliseconds(begin: str, end: str) -> int:
    """Return the time between two times of events; 0 if one is not known, or if they are in the wrong order."""
    if not begin or not end:
        return 0
    return max(0, int((datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds() * 1000))


def result_event(record: ToolResultRecord, turn: int) -> event.ToolResultEvent:
    """Return the event of a recorded result, with a text that fits into it."""
    text = "\n".join(
        part.text if isinstance(part, Text) else f"[image {part.media_type}]" for part in record.content
    )
    output = cut(text)
    return event.ToolResultEvent(
        id=record.id,
        tool=record.tool,
        output=output,
        is_error=record.is_error,
        outcome=record.outcome,
        duration_ms=record.duration_ms,
        exit_code=record.exit_code,
        output_bytes=len(text.encode()) if output != text else None,
        truncated=True if output != text else None,
        turn=turn,
    )


def complete_event(
    *,
    answer: str,
    error: event.ErrorInfo | None,
    aborted: bool,
    edits: Mapping[str, str],
    usage: Usage,
    cost: float | None,
    calls: int,
    duration_ms: int,
) -> event.CompleteEvent:
    """Return the last event of a session.

    Args:
        answer: the last text of the model.
        error: what ended the session.
        aborted: the user has interrupted the model.
        edits: the last action on each file.
        usage: of all model calls; `cost` in US dollars, None when it is not known.
        cost: see `usage`.
        calls: the number of model calls.
        duration_ms: between the first line and the last one.
    """
    status: event.Status = "cancelled" if aborted else "failed" if error else "completed"
    reasons: dict[str, event.StopReason] = {"cancelled": "cancelled", "failed": "error"}
    deleted = {path for path, action in edits.items() if action == "delete"}
    totals = event.TotalUsage(
        **usage.model_dump(exclude={"estimated"}),
        total_tokens=usage.total_tokens,
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        cost_usd=cost if usage.total_tokens else None,
    )
    return event.CompleteEvent(
        status=status,
        stop_reason=reasons.get(status, "end_turn"),
        output=answer,
        result=answer,
        files=tuple(sorted(edits.keys() - deleted)),
        deleted_files=tuple(sorted(deleted)),
        usage=totals,
        iterations=calls,
        duration_ms=duration_ms,
        error=error,
    )
