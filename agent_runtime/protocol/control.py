"""Control messages: what a caller may send while a run is under way, one JSON object per line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal, get_args

from agent_runtime.errors import RequestError
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.protocol.messages import clean_text
from agent_runtime.protocol.strict_json import decode

Action = Literal["pause", "resume", "cancel", "input", "answer", "freeze", "thaw"]
_ACTIONS = get_args(Action)
_IDENTIFIER = lazy_pattern(r"[A-Za-z0-9._:-]{1,128}")  # as in a request
_RUN_ID = lazy_pattern(r"[A-Za-z0-9_:-][A-Za-z0-9._:-]{0,127}")  # likewise
_VARIABLE = lazy_pattern(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Renewal:
    """What replaces the values that a run had when it was frozen, if it is thawed as a fork of its snapshot.

    Attributes:
        run_id: of the events from now on.
        sandbox_id: of the machine.
        env: variables of the tools; those that hold keys of providers are the runtime's own, `NAME_FD` names a
            descriptor that the key is read from.
    """

    run_id: str | None = None
    sandbox_id: str | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold keys


@dataclass(frozen=True)
class ControlMessage:
    """A control message. `text` is set for the actions `input` and `answer`, `id` for `answer`.

    `before` is "tool" for a pause that lets model calls go on.
    """

    action: Action
    text: str | None = None
    id: str | None = None
    before: Literal["tool"] | None = None
    renewal: Renewal | None = None  # of the action `thaw`


def parse_control(line: bytes) -> ControlMessage:
    """Parse one control line. Raises RequestError, which names the field that is wrong."""
    message = decode(line, "control", example='{"action": "input", "text": "..."}')
    action: Any = message.get("action") if isinstance(message, dict) else None
    if action not in _ACTIONS:
        raise RequestError("action", "expected one of " + ", ".join(f'"{name}"' for name in _ACTIONS))
    if action == "thaw":
        return ControlMessage(action, renewal=_renewal(message))
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


def _renewal(message: dict[str, Any]) -> Renewal:
    env = message.get("env")
    if env is None:
        env = {}
    if not isinstance(env, dict) or not all(isinstance(value, str) for value in env.values()):
        raise RequestError("env", "expected an object of strings: the variables by their names")
    for name, value in env.items():
        if not _VARIABLE.fullmatch(name) or "\0" in value:
            raise RequestError(
                "env", f"expected letters, digits and `_` in names, and no NUL in values: {name[:80]!r}"
            )
    return Renewal(_identifier(message, "runId"), _identifier(message, "sandboxId"), env)


def _identifier(message: dict[str, Any], name: str) -> str | None:
    value = message.get(name, message.get(name.replace("Id", "_id")))
    if value is not None and not (isinstance(value, str) and _IDENTIFIER.fullmatch(value)):
        raise RequestError(name, "expected 1 to 128 letters, digits, `.`, `_`, `:` or `-`")
    if value is not None and name == "runId" and not _RUN_ID.fullmatch(value):
        raise RequestError(name, "expected an id that does not begin with `.`")
    return value
