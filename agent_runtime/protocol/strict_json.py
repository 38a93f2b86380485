"""JSON as RFC 8259 defines it: UTF-8, no NaN or Infinity, bounded nesting."""

from __future__ import annotations

import json
from typing import Any

from agent_runtime.errors import RequestError

_EXPECTED = 'expected one JSON object such as {"prompt": "..."}'


def decode(text: bytes | str, field: str = "request") -> Any:
    """JSON as the standard has it (no NaN), in UTF-8. Raises RequestError."""

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is no JSON number")

    try:
        return json.loads(
            text.decode("utf-8-sig") if isinstance(text, bytes) else text, parse_constant=constant
        )
    except RecursionError:
        raise RequestError(field, f"{_EXPECTED}: it is nested too deeply") from None
    except ValueError as error:
        raise RequestError(field, f"{_EXPECTED}: {error}") from None
