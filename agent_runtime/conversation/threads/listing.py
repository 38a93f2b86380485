"""Listings of threads: their entries, and the cursors that continue a listing."""

from __future__ import annotations

from agent_runtime.conversation.threads.database import check_id
from agent_runtime.errors import RequestError
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.cursors import decode_cursor

SELECT_INFO = "SELECT id, agent, title, created, updated, messages FROM threads"


@dataclass(frozen=True)
class ThreadInfo:
    """A thread in a listing. Times are seconds since the epoch; `title` is the beginning of the first task."""

    id: str
    agent: str
    title: str
    created: float
    updated: float
    messages: int


@dataclass(frozen=True)
class ThreadPage:
    """A page of a listing; `cursor` gets the next one, None: this is the last."""

    threads: list[ThreadInfo]
    cursor: str | None


def position(cursor: str | None) -> tuple[float | None, str]:
    """Return where a page begins: the time and the id of the last thread before it. Raises RequestError."""
    if cursor is None:
        return None, ""
    try:
        updated, id = decode_cursor(cursor, (float, str))
        return updated, check_id(id)
    except (ValueError, RequestError) as error:
        raise RequestError("cursor", "expected the `nextCursor` of a previous page") from error
