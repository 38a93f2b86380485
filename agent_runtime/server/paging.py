"""Pages of lists: `limit` and `cursor` in, `hasMore` and `nextCursor` out."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent_runtime.server.errors import ApiError

_MAX = 200


def limit_of(query: Mapping[str, str]) -> int:
    """The `limit` of a query, 20 by default. Raises ApiError 400."""
    text = query.get("limit", "20")
    if not text.isdecimal() or not 1 <= int(text) <= _MAX:
        message = f"limit: expected a number from 1 to {_MAX}, got {text!r}"
        raise ApiError(400, "invalid_request", message, details={"field": "limit"})
    return int(text)


def page(
    rows: Sequence[Any], query: Mapping[str, str], *, key: Callable[[Any], list[Any]]
) -> tuple[list[Any], dict[str, Any]]:
    """A page of rows that are sorted by `key`, the largest first. Raises ApiError 400."""
    limit = limit_of(query)
    after = _position(query.get("cursor"))
    left = [row for row in rows if after is None or key(row) < after]
    found = list(left[:limit])
    more = len(left) > limit
    return found, {"hasMore": more, "nextCursor": _cursor(key(found[-1])) if more else None}


def _cursor(position: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def _position(cursor: str | None) -> list[Any] | None:
    if cursor is None:
        return None
    try:
        position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if isinstance(position, list):
            return position
    except ValueError:
        pass
    raise ApiError(
        400,
        "invalid_request",
        "cursor: expected the `nextCursor` of an earlier page",
        details={"field": "cursor"},
    )
