"""The JSON body of a request, from the forms in which Python programs give it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent_runtime.protocol.request import Request

UNANSWERED = 0.001  # seconds that a question waits where nobody is asked


def request_body(request: str | Mapping[str, Any] | Request) -> dict[str, Any]:
    """Return the JSON object of a request that is given as its prompt, as a mapping, or as a model."""
    if isinstance(request, Request):
        return request.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {"prompt": request} if isinstance(request, str) else dict(request)


def unattended(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON object of a request whose questions nobody sees. They wait only where it gives a time."""
    given = dict(body)
    asks = given.get("askUser", given.get("ask_user"))
    limited = given.get("questionTimeout", given.get("question_timeout")) is not None
    return given | {"questionTimeout": UNANSWERED} if asks and not limited else given
