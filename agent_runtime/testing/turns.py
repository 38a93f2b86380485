"""The answers of a scripted model: their texts, calls and failures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A tool call.

    A string in `arguments` is sent unchanged, JSON or not. An empty `id` is replaced by a unique one.
    """

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    id: str = ""

    @property
    def text(self) -> str:
        """The arguments as text."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)


@dataclass(frozen=True)
class Fault:
    """A failure of the provider. `status` is answered without a stream; the other failures happen inside a stream."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "scripted failure"
    code: str = "scripted"  # the provider's own type or code, e.g. overloaded_error, insufficient_quota
    body: Any = None  # the whole error body (object or text), instead of one made of message and code
    drop: bool = False  # the connection is closed without a response
    cut_after: int | None = None  # the connection is closed after this many events
    black_hole: bool = False  # no response is ever sent (with hang_after: no further events)
    hang_after: int | None = None  # no event follows after this many, the connection stays open
    pings_only: bool = False  # pings and comments forever
    garbage: bool = False  # an event that is not JSON, in the middle
    error_in_stream: bool = False  # an error event after the first half of the turn
    slow: float = 0.0  # seconds before every event


@dataclass(frozen=True)
class Turn:
    """One answer of the model. `usage` keys: input (the whole prompt), cached, written, output, reasoning."""

    text: str = ""
    thinking: str = ""
    redacted: bool = False  # thinking in its redacted form (Anthropic)
    calls: Sequence[Call | tuple[Any, ...]] = ()
    stop: str = ""  # a name of agent.model.StopReason; empty for end_turn or tool_calls
    usage: Mapping[str, int] = field(default_factory=lambda: {"input": 100, "output": 20})
    model: str = "scripted-model"
    raw: Sequence[Json] | Path | None = None  # the events themselves, instead of all of the above
    fault: Fault | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Turn:
        """Create a turn from JSON with the same names; `fault` is an object, `raw` a list or the path of a .jsonl."""
        values: Json = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        if isinstance(values.get("fault"), Mapping):
            values["fault"] = Fault(**values["fault"])
        if isinstance(values.get("raw"), str):
            values["raw"] = Path(values["raw"])
        calls = values.get("calls", ())
        values["calls"] = [Call(**c) if isinstance(c, Mapping) else tuple(c) for c in calls]
        return cls(**values)

    def named_calls(self, number: int) -> list[Call]:
        """Return the calls, each with an id."""
        calls = [c if isinstance(c, Call) else Call(*c) for c in self.calls]
        return [
            c if c.id else Call(c.name, c.arguments, f"call_{number:04d}_{i}") for i, c in enumerate(calls)
        ]
