"""Errors in a stream that began with a status of success."""

from __future__ import annotations

from typing import Any

from tests.faults.vendor_codes import AGAIN, FINAL, FULL, KEY, MODEL, OVERFLOW, QUOTA, REFUSED

# event, meaning
IN_STREAM: list[tuple[Any, tuple[str, bool]]] = [
    *(
        ({"choices": [], "error": {"code": code, "message": "m"}}, expected)
        for number, expected in {
            400: FINAL,
            401: KEY,
            402: QUOTA,
            403: ("permission_denied", False),
            404: MODEL,
            408: ("provider_timeout", True),
            413: OVERFLOW,
            422: FINAL,
            429: FULL,
            500: AGAIN,
            502: AGAIN,
            503: ("overloaded", True),
            529: ("overloaded", True),
        }.items()
        for code in (number, str(number))
    ),
    ({"error": {"status": 402, "message": "m"}}, QUOTA),
    ({"error": {"code": 402.0, "message": "m"}}, QUOTA),
    ({"error": {"code": 400, "message": "prompt is too long"}}, OVERFLOW),
    ({"error": {"code": "1261", "message": "m"}}, OVERFLOW),
    ({"error": {"code": 1301, "message": "m"}}, REFUSED),
    ({"error": {"code": "content_filter", "message": "m"}}, REFUSED),
    ({"error": {"code": "budget_exceeded", "message": "m"}}, QUOTA),
    ({"error": {"code": "tool_use_failed", "message": "m"}}, AGAIN),
    ({"error": {"code": 200, "message": "m"}}, AGAIN),
    ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, QUOTA),
    ({"base_resp": {"status_code": 1027, "status_msg": "output new_sensitive"}}, REFUSED),
]
