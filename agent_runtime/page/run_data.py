"""What a page needs of a recorded run besides its events: messages, prompts, images, control messages."""

from __future__ import annotations

from typing import Any

from agent_runtime.protocol.text import truncate_middle
from agent_runtime.transcripts.reader import Transcript
from agent_runtime.transcripts.records import (
    ControlRecord,
    EventRecord,
    PromptRecord,
    ToolResultRecord,
)

Json = dict[str, Any]
_MESSAGE_LIMIT = 200_000  # bytes of one message; the transcript has the whole


def run_data(transcript: Transcript) -> Json:
    """Return the run as the page takes it, all events included."""
    messages = request_messages(transcript)
    return {
        "runId": transcript.header.run_id,
        "runtimeVersion": transcript.header.runtime_version,
        "createdAt": transcript.header.created_at,
        "title": messages[-1]["text"] if messages else "",
        "messages": messages,
        "prompts": [
            {"call": record.call + 1, "system": record.system, "tools": record.tools}
            for record in transcript.records
            if isinstance(record, PromptRecord) and (record.system is not None or record.tools is not None)
        ],
        "images": _images(transcript),
        "controls": _controls(transcript),
        "events": transcript.events,
        "ended": transcript.end is not None,
    }


def request_messages(transcript: Transcript) -> list[Json]:
    """Return the input of the run: the history of its thread, the messages of the request, the prompt.

    Each has `role`, `text`, `images` (`data:` addresses), and `earlier`: it is from the thread.
    """
    request = transcript.request.request
    history = transcript.request.history or {}
    found: list[Json] = []
    if not request.get("messages"):
        found += [_message(message, earlier=True) for message in history.get("messages", ())]
    found += [_message(message) for message in request.get("messages") or ()]
    if prompt := request.get("prompt") or request.get("message"):
        found.append({"role": "user", "text": str(prompt), "images": [], "earlier": False})
    return found


def _message(message: Any, *, earlier: bool = False) -> Json:
    """Convert a message of the request (with `content`, `parts`) or of a thread (with `blocks`)."""
    if not isinstance(message, dict):
        return {"role": "?", "text": str(message), "images": [], "earlier": earlier}
    texts: list[str] = []
    images: list[str] = []
    for name in ("content", "parts", "blocks"):
        value = message.get(name)
        for part in [value] if isinstance(value, str) else value or ():
            _collect(part, texts, images)
    text = truncate_middle("\n".join(texts), _MESSAGE_LIMIT)
    return {"role": str(message.get("role", "user")), "text": text, "images": images, "earlier": earlier}


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


def _images(transcript: Transcript) -> dict[str, list[str]]:
    """Return the images that tools returned, by the id of the call."""
    found = {}
    for record in transcript.records:
        if isinstance(record, ToolResultRecord):
            pictures = [part for part in record.content if part.type == "image"]
            if pictures:
                found[record.id] = [f"data:{part.media_type};base64,{part.data}" for part in pictures]
    return found


def _controls(transcript: Transcript) -> list[Json]:
    """Return the control messages, each with the `seq` of the event that came next in `before`."""
    found: list[Json] = []
    seq, ts = -1, transcript.header.created_at
    for record in transcript.records:
        if isinstance(record, EventRecord):
            seq, ts = record.event["seq"], record.event.get("ts", ts)
        elif isinstance(record, ControlRecord):
            text = record.text or record.reason or ""
            found.append({"before": seq + 1, "ts": ts, "action": record.action, "text": text})
    return found
