"""Records and compares what the model was sent: the system prompt, the tools and each message are recorded once.

For a request body a transcript has a digest only. These records have its contents in readable form, which a replay
compares with its own.
"""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import field
from typing import Any

from agent_runtime.agent.model import Model, ModelCall, OnDelta, ToolSpec, Turn
from agent_runtime.errors import ReplayMismatch
from agent_runtime.lazy import dataclass
from agent_runtime.models.base import BaseModel
from agent_runtime.protocol.messages import Message
from agent_runtime.transcripts.encode import members
from agent_runtime.transcripts.masks import Masks
from agent_runtime.transcripts.records import PromptRecord
from agent_runtime.transcripts.rewrite import Change, rewrite
from agent_runtime.transcripts.writer import Recorder


@dataclass
class PromptLog:
    """Finds what has changed in each call since the previous one."""

    _system: str | None = None
    _tools: tuple[ToolSpec, ...] | None = None
    _messages: Sequence[Message] = field(default_factory=tuple)

    def changes(self, call: ModelCall) -> dict[str, Any]:
        """Return the fields of the next PromptRecord; empty when the call is the same as the previous one."""
        found: dict[str, Any] = {}
        if call.system != self._system:
            found["system"] = call.system
        if tuple(call.tools) != self._tools:
            found["tools"] = tuple(
                {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
                for tool in call.tools
            )
        known = len(self._messages)
        begins_alike = len(call.messages) >= known and (
            all(map(operator.is_, self._messages, call.messages))
            or all(map(operator.eq, self._messages, call.messages))
        )
        if begins_alike:
            new = call.messages[known:]
        else:
            new = call.messages
            found["replaced"] = True
        if new:
            found["messages"] = tuple(map(readable, new))
        self._system, self._tools, self._messages = call.system, tuple(call.tools), tuple(call.messages)
        return found


def readable(message: Message) -> dict[str, Any]:
    """Return a message without the provider's own items (the response has them) and without the data of files."""
    found = members(type(message), vars(message))
    found.pop("native", None)
    content: dict[str, Any] = _without_data(found)
    return content


def _without_data(value: Any) -> Any:
    """Return the JSON of a value, with the size of the data of images and documents in its place."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return [_without_data(item) for item in value]
    if not isinstance(value, dict | BaseModel):
        return value
    items = value if isinstance(value, dict) else members(type(value), vars(value))
    found = {name: _without_data(item) for name, item in items.items()}
    if found.get("type") in ("image", "document") and isinstance(found.get("data"), str):
        found["data"] = f"[{len(found['data']) * 3 // 4} bytes]"
    return found


@dataclass(frozen=True)
class RecordedPrompts:
    """A model whose calls are recorded before they are made."""

    model: Model
    recorder: Recorder
    log: PromptLog = field(default_factory=PromptLog)

    async def turn(self, call: ModelCall, on_delta: OnDelta) -> Turn:
        """See agent.model.Model."""
        if changes := self.log.changes(call):
            self.recorder.prompt(changes)
        return await self.model.turn(call, on_delta)


OnDifference = Callable[[str], Awaitable[None]]


class ComparedPrompts:
    """A model whose calls are compared with the recorded ones.

    Args:
        model: the model to call.
        recorded: the records of the transcript; without any, nothing is compared.
        canonical: functions that normalize a text of the recording, and a text of the replay.
        system: whether the system prompt is compared.
        on_difference: called with a description of the first difference, once.
        strict: raise ReplayMismatch at the first difference.
    """

    def __init__(
        self,
        model: Model,
        recorded: Iterable[PromptRecord],
        canonical: tuple[Change, Change],
        *,
        system: bool,
        on_difference: OnDifference,
        strict: bool,
    ) -> None:
        self._model, self._system = model, system
        self._recorded = [_fields(record) for record in recorded]
        self._old, self._new = canonical
        self._on_difference, self._strict = on_difference, strict
        self._log = PromptLog()
        self._calls = 0
        self._compare = bool(self._recorded)

    async def turn(self, call: ModelCall, on_delta: OnDelta) -> Turn:
        """See agent.model.Model. Raises ReplayMismatch when `strict` is set and the call differs."""
        if self._compare and (changes := self._log.changes(call)):
            self._calls += 1
            if different := self._difference(changes):
                self._compare = False
                message = f"model call {self._calls} differs from the recorded one in its {different}"
                if self._strict:
                    raise ReplayMismatch(message)
                await self._on_difference(message)
        return await self._model.turn(call, on_delta)

    def _difference(self, changes: dict[str, Any]) -> str:
        if self._calls > len(self._recorded):
            return "existence: no such call was recorded"
        old = rewrite(self._recorded[self._calls - 1], self._old)
        new = rewrite(_fields(PromptRecord(at=0, call=0, **changes)), self._new)
        for name in ("system", "tools", "messages", "replaced"):
            if name == "system" and not self._system:
                continue
            if old.get(name) != new.get(name):
                return _describe(name, old.get(name), new.get(name))
        return ""


def _fields(record: PromptRecord) -> dict[str, Any]:
    return record.model_dump(mode="json", by_alias=True, exclude={"at", "call", "kind"})


def _describe(name: str, old: Any, new: Any) -> str:
    """Describe a difference: the field, and the first line or message that differs."""
    label = {"system": "system prompt", "tools": "tools", "messages": "messages", "replaced": "history"}[name]
    if isinstance(old, str) and isinstance(new, str):
        pairs = zip([*old.splitlines(), ""], [*new.splitlines(), ""], strict=False)
        before, after = next((pair for pair in pairs if pair[0] != pair[1]), ("", ""))
        return f"{label}: recorded {before[:200]!r}, now {after[:200]!r}"
    if name == "messages":
        for number, (before, after) in enumerate(zip(old or (), new or (), strict=False), 1):
            if before != after:
                return f"{label}: new message {number}: recorded {str(before)[:300]}, now {str(after)[:300]}"
        return f"{label}: recorded {len(old or ())} new ones, now {len(new or ())}"
    return label


def canonical(masks: Masks, old_workspace: str, new_workspace: str) -> tuple[Change, Change]:
    """Return the functions that normalize texts of the recording and of the replay before they are compared."""
    return masks.prompts(old_workspace), masks.prompts(new_workspace)
