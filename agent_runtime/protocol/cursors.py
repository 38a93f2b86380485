"""Cursors of lists: the position after which a page begins, as an opaque text."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from math import isfinite
from typing import Any


def encode_cursor(position: Sequence[str | float]) -> str:
    """Return the cursor of a position: the sort key of the last row of a page."""
    return base64.urlsafe_b64encode(json.dumps(list(position)).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, kinds: Sequence[type]) -> list[Any]:
    """Return the position of a cursor.

    Args:
        cursor: what a caller has sent; not necessarily a text that `encode_cursor` has returned.
        kinds: the type of each value of the position.

    Raises:
        ValueError: it is not the cursor of such a position.
    """
    try:
        decoded = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        position = json.loads(decoded, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(position, list) or [type(value) for value in position] != list(kinds):
        raise ValueError(f"expected values of the types {[kind.__name__ for kind in kinds]}")
    return position


def _finite(text: str) -> float:
    if not isfinite(number := float(text)):
        raise ValueError(f"{text:.40} is not a position")
    return number
