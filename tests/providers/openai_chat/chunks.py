"""Chunks of Chat Completions streams."""

from __future__ import annotations

from typing import Any

FORMAT = "openai-chat"
Json = dict[str, Any]


def chunk(finish: str | None = None, **delta: Any) -> Json:
    return {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
