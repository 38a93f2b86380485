"""Values of Claude Code's sessions: contents of messages, and token counts."""

from __future__ import annotations

from typing import Any

from agent_runtime.importers.session_lines import Json
from agent_runtime.protocol.messages import Image, Text, Usage


def content_of(parts: Any) -> tuple[Text | Image, ...]:
    """Return the texts and images of a message; other kinds of content are named in brackets."""
    found: list[Text | Image] = []
    for part in parts if isinstance(parts, list) else ():
        if not isinstance(part, dict):
            continue
        source = part.get("source")
        if isinstance(part.get("text"), str):
            if part["text"]:
                found.append(Text(text=part["text"]))
        elif part.get("type") == "image" and isinstance(source, dict) and isinstance(source.get("data"), str):
            found.append(Image(media_type=str(source.get("media_type")), data=source["data"]))
        elif part.get("type"):
            found.append(Text(text=f"[{part['type']}]"))
    return tuple(found)


def usage_of(given: Json) -> Usage:
    """Return the token counts of a message. Its input tokens exclude those of the cache, ours include them."""
    cached, written = (
        int(given.get(name) or 0) for name in ("cache_read_input_tokens", "cache_creation_input_tokens")
    )
    return Usage(
        input_tokens=int(given.get("input_tokens") or 0) + cached + written,
        output_tokens=int(given.get("output_tokens") or 0),
        cached_input_tokens=cached,
        cache_write_tokens=written,
    )
