"""Contents of messages and outputs of tools, as codex records them."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

from agent_runtime.protocol.messages import Image, Text

_HEAD = re.compile(
    r"(?:Chunk ID: .*\n)?(?:Exit code: (?P<exit>-?\d+)\n)?Wall time: (?P<seconds>[\d.]+) seconds?\n"
    r"(?:Process exited with code (?P<code>-?\d+)\n)?(?:Process running with session ID .*\n)?"
    r"(?:Original token count: .*\n)?(?:Total output lines: .*\n)?Output:\n"
)
_ABORTED = re.compile(r"(?:Wall time: .*\n)?aborted by user")
_DATA = re.compile(r"data:(?P<type>[\w.+/-]+);base64,(?P<data>[A-Za-z0-9+/=\s]+)\Z")


def content_of(given: Any) -> tuple[Text | Image, ...]:
    """Return the texts and images of a content: a text, or a list of parts."""
    if isinstance(given, str):
        return (Text(text=given),) if given else ()
    found: list[Text | Image] = []
    for part in given if isinstance(given, list) else ():
        if not isinstance(part, dict):
            continue
        address = part.get("image_url")
        if isinstance(part.get("text"), str) and part["text"]:
            found.append(Text(text=part["text"]))
        elif isinstance(address, str) and (data := _DATA.match(address)):
            found.append(Image(media_type=data["type"], data="".join(data["data"].split())))
        elif address:
            found.append(Text(text=f"[image {str(address)[:200]}]"))
    return tuple(found)


def texts_of(given: Any) -> str:
    """Return the texts of a content, joined."""
    return "\n".join(part.text for part in content_of(given) if isinstance(part, Text))


def tool_output(output: Any, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `SessionBuilder.result` for the output of a tool.

    Args:
        output: a text, which may be JSON or begin with lines about the process; `{content, success}`; or parts.
        facts: an event about the same call, with `exit_code` and `duration`.
    """
    success, metadata = True, facts
    if isinstance(output, str) and output.startswith('{"output"'):
        with suppress(ValueError, RecursionError):
            output = json.loads(output)
    if isinstance(output, dict):
        success = output.get("success") is not False
        if isinstance(output.get("metadata"), dict):
            metadata = output["metadata"] | facts
        output = next((output[name] for name in ("output", "content") if name in output), json.dumps(output))
    content = content_of(output)
    code, seconds = metadata.get("exit_code"), _seconds(metadata)
    first = content[0].text if content and isinstance(content[0], Text) else ""
    while head := _HEAD.match(first):  # of the session, and again of the command in it
        stated = head["exit"] or head["code"]
        code = code if isinstance(code, int) else int(stated) if stated else None
        seconds = seconds if seconds is not None else float(head["seconds"])
        first = first[head.end() :]
        content = (*((Text(text=first),) if first else ()), *content[1:])
    cancelled = _ABORTED.match(first) is not None
    code = code if isinstance(code, int) and not isinstance(code, bool) else None
    failed = not success or cancelled or bool(code)
    return {
        "content": content,
        "is_error": failed,
        "outcome": "cancelled" if cancelled else "failed" if failed else "completed",
        "exit_code": code,
        "duration_ms": None if seconds is None else int(seconds * 1000),
    }


def _seconds(metadata: dict[str, Any]) -> float | None:
    duration = metadata.get("duration", metadata.get("duration_seconds"))
    if isinstance(duration, dict):
        seconds, nanos = duration.get("secs"), duration.get("nanos")
        return float(seconds or 0) + float(nanos or 0) / 1e9
    return float(duration) if isinstance(duration, int | float) else None
