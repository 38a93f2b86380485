"""Control messages: what a caller may send while a run is under way, one JSON object per line."""

from __future__ import annotations

from typing import Literal

from agent_runtime.errors import RequestError
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import clean_text
from agent_runtime.protocol.strict_json import decode


@dataclass(frozen=True)
class ControlMessage:
    """A control message. `text` is set for the actions `input` and `answer`, `id` for `answer`.

    `before` is "tool" for a pause that lets model calls go on.
    """

    action: Literal["pause", "resume", "cancel", "input", "answer"]
    text: str | None = None
    id: str | None = None
    before: Literal["tool"] | None = None


def parse_control(line: bytes) -> ControlMessage:
    """Parse one control line. Raises RequestError, which names the field that is wrong."""
    message = decode(line, "control", example='{"action": "input", "text": "..."}')
    action = message.get("action") if isinstance(message, dict) else None
    if action not in ("pause", "resume", "cancel", "input", "answer"):
        raise RequestError("action", 'expected one of "pause", "resume", "cancel", "input", "answer"')
    if action == "pause":
        before = message.get("before")
        if before not in (None, "tool"):
            raise RequestError("before", f'expected "tool", or no such field, got {before!r}')
        return ControlMessage(action, before=before)
    if action not in ("input", "answer"):
        return ControlMessage(action)
    text = message.get("text")
    if not isinstance(text, str) or not text.strip():
        raise RequestError("text", f'expected a non-empty string with {{"action":"{action}"}}')
    if action == "input":
        return ControlMessage(action, clean_text(text))
    id = message.get("id")
    if not isinstance(id, str) or not id:
        raise RequestError("id", 'expected the id of a question with {"action":"answer"}')
    return ControlMessage(action, clean_text(text), clean_text(id))
