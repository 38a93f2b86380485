"""JSON as RFC 8259 defines it: UTF-8, no NaN or Infinity, bounded nesting."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

from agent_runtime.errors import RequestError

REQUEST_EXAMPLE = '{"prompt": "..."}'


def decode(text: bytes | str, field: str = "request", *, example: str = REQUEST_EXAMPLE) -> Any:
    """Decode JSON in UTF-8; NaN, Infinity, and numbers beyond a double are refused. Raises RequestError for `field`."""

    expected = f"expected one JSON object such as {example}"

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is not a JSON number")

    def finite(digits: str) -> float:
        number = float(digits)
        return number if isfinite(number) else constant(digits[:40])

    try:
        plain = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        return json.loads(plain, parse_constant=constant, parse_float=finite)
    except RecursionError:
        raise RequestError(field, f"{expected}: it is nested too deeply") from None
    except ValueError as error:
        raise RequestError(field, f"{expected}: {error}") from None
