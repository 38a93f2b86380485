"""A run as plain text: what the report contains for readers that run no script."""

from __future__ import annotations

import json
from typing import Any

from agent_runtime.protocol.text import truncate_middle

Json = dict[str, Any]
_LIMIT = 4_000  # bytes of one output or diff; the script displays the whole


def plain_text(data: Json) -> str:
    """Return the steps of a run, from the data of `run_data`."""
    found = [f"{message['role']}: {message['text']}" for message in data["messages"]]
    for event in data["events"]:
        text = _step(event)
        if text:
            found.append(truncate_middle(text, _LIMIT))
    if not data["ended"]:
        found.append("The recording has no end: the process was killed.")
    return "\n\n".join(found)


def _step(event: Json) -> str:
    match event.get("type"):
        case "thinking":
            return str(event.get("content", ""))
        case "tool_call":
            return f"{event.get('tool')} {json.dumps(event.get('input'), ensure_ascii=False)}"
        case "tool_result":
            code = f", exit {event['exitCode']}" if event.get("exitCode") is not None else ""
            return f"{event.get('outcome')}{code}, {event.get('durationMs')} ms\n{event.get('output', '')}"
        case "file_edit":
            return f"{event.get('action')} {event.get('path')}\n{event.get('diff', '')}"
        case "dev_url":
            return f"server {event.get('status')}: {event.get('url')}"
        case "error" | "notice":
            return f"{event.get('code')}: {event.get('message')}"
        case "question":
            return f"question: {event.get('text')}"
        case "complete":
            error = event.get("error") or {}
            why = f"\n{error.get('code')}: {error.get('message')}" if error else ""
            return f"{event.get('status')} ({event.get('stopReason')}){why}\n{event.get('output', '')}"
    return ""
