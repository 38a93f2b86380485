"""The last events of a run whose process was killed, from the events that it has written."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from agent_runtime.output.event_writer import payload_of, timestamp
from agent_runtime.output.lines import encode_line
from agent_runtime.protocol import events

_MESSAGE = "the process of the run was killed, or the disk was full, before it could write its last event"
_COUNTS = ("inputTokens", "outputTokens", "cachedInputTokens", "cacheWriteTokens", "reasoningTokens")


def last_events(
    run_id: str, thread_id: str | None, stream: list[dict[str, Any]], message: str = _MESSAGE
) -> str:
    """Return the `error` and the `complete` event as two lines.

    Files, addresses, usage and duration are those of the stream: later actions of the run are unknown.

    Args:
        run_id, thread_id: of the run; an id that it was given when it was thawed is in its events.
        stream: its events; none when it was killed before `start`.
        message: of the error.
    """
    error = events.ErrorInfo(code="internal_error", message=message, retryable=True)
    start = stream[0] if stream and stream[0]["type"] == "start" else {}
    files, deleted = _files(stream)
    servers = _servers(stream)
    complete = events.CompleteEvent(
        status="failed",
        stop_reason="error",
        output="",
        result="",
        files=tuple(sorted(files)),
        deleted_files=tuple(sorted(deleted)),
        dev_url=servers[-1]["url"] if servers else None,
        dev_urls=tuple(servers),
        usage=_usage(stream),
        iterations=max((event["turn"] for event in stream if event["type"] == "usage"), default=0),
        duration_ms=_duration_ms(stream),
        thread_id=thread_id,
        sandbox_id=start.get("sandboxId"),
        rollout_id=start.get("rolloutId"),
        target_device_id=start.get("targetDeviceId"),
        idempotency_key=start.get("idempotencyKey"),
        execution_mode=start.get("executionMode"),
        metadata=start.get("metadata"),
        error=error,
    )
    last = (events.ErrorEvent(code=error.code, message=message, retryable=True), complete)
    first_seq = stream[-1]["seq"] + 1 if stream else 0
    run_id = stream[-1]["runId"] if stream else run_id
    payloads = (payload_of(event, seq, run_id) for seq, event in enumerate(last, first_seq))
    return "".join(f"{encode_line(payload)}\n" for payload in payloads)


def _files(stream: list[dict[str, Any]]) -> tuple[set[str], set[str]]:
    """The files that exist after the edits of the stream, and those that were deleted by them."""
    present: set[str] = set()
    deleted: set[str] = set()
    created: set[str] = set()
    for event in stream:
        if event["type"] != "file_edit":
            continue
        gone = event["path"] if event["action"] == "delete" else event.get("oldPath")
        if gone is not None:
            present.discard(gone)
            if gone not in created:
                deleted.add(gone)
            created.discard(gone)
        if event["action"] != "delete":
            present.add(event["path"])
            if event["action"] in ("create", "rename") and event["path"] not in deleted:
                created.add(event["path"])
            deleted.discard(event["path"])
    return present, deleted


def _servers(stream: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The servers that were listening after the last event."""
    last = {event["port"]: event for event in stream if event["type"] == "dev_url"}
    envelope = ("type", "seq", "ts", "runId")
    return [
        {name: value for name, value in event.items() if name not in envelope}
        for event in sorted(last.values(), key=lambda event: event["seq"])
        if event["status"] == "up"
    ]


def _usage(stream: list[dict[str, Any]]) -> events.TotalUsage:
    calls = [event for event in stream if event["type"] == "usage"]
    counts = {name: sum(event[name] for event in calls) for name in _COUNTS}
    costs = [cost for event in calls if (cost := event.get("costUsd")) is not None]
    total = counts["inputTokens"] + counts["outputTokens"]
    return events.TotalUsage.model_validate(
        counts
        | {
            "totalTokens": total,
            "promptTokens": counts["inputTokens"],
            "completionTokens": counts["outputTokens"],
            "costUsd": sum(costs) if calls and len(costs) == len(calls) else None,
            "estimated": any(event.get("estimated") for event in calls) or None,
        }
    )


def _duration_ms(stream: list[dict[str, Any]]) -> int:
    if not stream:
        return 0
    began = datetime.fromisoformat(stream[0]["ts"])
    return round((datetime.fromisoformat(timestamp()) - began).total_seconds() * 1000)
