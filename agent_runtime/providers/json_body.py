"""A request body with its JSON, encoded once; the messages of earlier requests are not encoded again."""

from __future__ import annotations

import json
from typing import Any

from agent_runtime.conversation.memo import Memo

_HISTORY = ("messages", "input")


class JsonBody(dict[str, Any]):
    """A body. `json`: its text, UTF-8."""

    def __init__(self, body: dict[str, Any], json: bytes) -> None:
        super().__init__(body)
        self.json = json


class BodyEncoder:
    """Encodes the bodies of one conversation."""

    def __init__(self) -> None:
        self._messages: Memo[Any, bytes] = Memo()

    def encode(self, body: dict[str, Any]) -> JsonBody:
        """Return the body with its JSON. Raises ValueError for what JSON or UTF-8 cannot hold."""
        members = []
        for name, value in body.items():
            if name in _HISTORY and isinstance(value, list):
                encoded = b"[%b]" % b",".join(self._messages.map(value, dumps))
            else:
                encoded = dumps(value)
            members.append(b"%b:%b" % (dumps(name), encoded))
        return JsonBody(body, b"{%b}" % b",".join(members))


def dumps(value: Any) -> bytes:
    """The JSON of a value as it is sent: compact, UTF-8. Raises ValueError."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def json_of(body: dict[str, Any]) -> bytes:
    """The JSON of a body. Raises ValueError."""
    return body.json if isinstance(body, JsonBody) else dumps(body)
