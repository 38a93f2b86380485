"""The files of codex: their lines in the present form, and the rollouts of sub-agents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent_runtime.errors import TranscriptError
from agent_runtime.importers.merged import Tagged
from agent_runtime.importers.session_lines import Json, SessionLines, read_lines

_META = 1 << 16  # bytes of a rollout that contain its first line, nearly always
_MAX_SIBLINGS = 2_000


def unwrapped(lines: SessionLines) -> Iterator[Json]:
    """Yield the lines in the present form: `type` and `payload`."""
    values = lines.values
    if len(values) == 1 and isinstance(values[0].get("items"), list):
        session = values[0].get("session")
        head = [session | {"type": "session_meta"}] if isinstance(session, dict) else []
        values = [*head, *(item for item in values[0]["items"] if isinstance(item, dict))]
    for value in values:
        if "payload" in value:
            yield value
        elif value.get("type") == "session_meta" or {"id", "timestamp"} <= value.keys() - {"type"}:
            yield {"type": "session_meta", "timestamp": value.get("timestamp"), "payload": value}
        elif "type" in value:
            yield {"type": "response_item", "timestamp": value.get("timestamp"), "payload": value}


def identity_of(values: list[Json]) -> str:
    """Return the id of the session; "" when the file does not say it."""
    for value in values[:20]:
        payload = value.get("payload")
        if value.get("type") == "session_meta" and isinstance(payload, dict):
            return str(payload.get("id") or "")
    return ""


def agents_of(path: Path, parent: str, seen: set[str]) -> Iterator[list[Tagged]]:
    """Yield the rollouts of the sub-agents of a session, and of their sub-agents."""
    others = sorted(path.absolute().parent.glob("rollout-*"))[:_MAX_SIBLINGS]
    for other in others:
        try:
            head = read_lines(other, _META).values
            if not head and other.stat().st_size > _META:  # the first line is longer
                head = read_lines(other, 64 * _META).values
        except (TranscriptError, OSError):
            continue
        meta = head[0].get("payload") if head else None
        if not isinstance(meta, dict) or _parent(meta) != parent or meta.get("id") in seen:
            continue
        seen.add(str(meta.get("id")))
        yield [Tagged(str(meta.get("id")), value) for value in unwrapped(read_lines(other))]
        yield from agents_of(path, str(meta.get("id")), seen)


def _parent(meta: Json) -> str | None:
    found: Any = meta
    for name in ("source", "subagent", "thread_spawn"):
        found = found.get(name) if isinstance(found, dict) else None
    spawned = found if isinstance(found, dict) else {}
    parent = meta.get("parent_thread_id") or spawned.get("parent_thread_id")
    return str(parent) if parent else None
