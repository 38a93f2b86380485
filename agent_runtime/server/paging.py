"""Pages of lists: `limit` and `cursor` in, `hasMore` and `nextCursor` out. Numbers in queries."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from agent_runtime.protocol.cursors import decode_cursor, encode_cursor
from agent_runtime.server.errors import ApiError

T = TypeVar("T")

_MAX = 200
# `int` also takes signs, spaces, underscores and the digits of other scripts
_NUMBER = re.compile("[0-9]{1,18}")


def number_in(text: str, low: int, high: int) -> int | None:
    """Return the number that a text of decimal digits stands for; None when it is not one from `low` to `high`."""
    found = int(text) if _NUMBER.fullmatch(text) else -1
    return found if low <= found <= high else None


def limit_of(query: Mapping[str, str]) -> int:
    """The `limit` of a query, 20 by default. Raises ApiError 400."""
    text = query.get("limit", "20")
    limit = number_in(text, 1, _MAX)
    if limit is None:
        raise _invalid("limit", f"expected a number from 1 to {_MAX}, got {text!r:.80}")
    return limit


async def page(
    rows: Sequence[T],
    query: Mapping[str, str],
    *,
    key: Callable[[T], tuple[str, ...]],
    select: Callable[[Sequence[T]], Awaitable[list[T]]],
) -> tuple[list[T], dict[str, Any]]:
    """A page of what `select` returns of the rows, which are sorted by `key`, the largest first.

    `select` may be slow: it gets no more rows at a time than a page has, and none once the page is full.

    Raises ApiError 400.
    """
    limit = limit_of(query)
    after = _position(query.get("cursor"))
    left = [row for row in rows if after is None or key(row) < after]
    found: list[T] = []
    for start in range(0, len(left), limit + 1):
        found += await select(left[start : start + limit + 1])
        if len(found) > limit:
            return found[:limit], {"hasMore": True, "nextCursor": encode_cursor(key(found[limit - 1]))}
    return found, {"hasMore": False, "nextCursor": None}


def _position(cursor: str | None) -> tuple[str, ...] | None:
    if cursor is None:
        return None
    try:
        return tuple(decode_cursor(cursor, (str, str)))
    except ValueError:
        raise _invalid("cursor", "expected the `nextCursor` of an earlier page") from None


def _invalid(field: str, what: str) -> ApiError:
    return ApiError(400, "invalid_request", f"{field}: {what}", details={"field": field})
