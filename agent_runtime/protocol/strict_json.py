"""JSON as RFC 8259 defines it: UTF-8, no NaN or Infinity, bounded nesting."""

from __future__ import annotations

import json
from typing import Any

from agent_runtime.errors import RequestError

REQUEST_EXAMPLE = '{"prompt": "..."}'


def decode(text: bytes | str, field: str = "request", *, example: str = REQUEST_EXAMPLE) -> Any:
    """Decode JSON in UTF-8; NaN and Infinity are refused. Raises RequestError for `field`."""

    expected = f"expected one JSON object such as {example}"

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is not a JSON number")

    try:
        return json.loads(
            text.decode("utf-8-sig") if isinstance(text, bytes) else text, parse_constant=constant
        )
    except RecursionError:
        raise RequestError(field, f"{expected}: it is nested too deeply") from None
    except ValueError as error:
        raise RequestError(field, f"{expected}: {error}") from None
