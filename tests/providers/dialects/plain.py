"""The plain stream that each dialect changes: a text and calls, in one of the three formats."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

from agent_runtime.testing.model_streams import events
from agent_runtime.testing.turns import Call, Turn

Json = dict[str, Any]
Dialect = Callable[[list[Json]], list[Json]]

TEXT = "I look at it first."
COMMANDS = ["echo ran >> c.txt", "ls -la", 'printf "%s" {}', "echo ran >> d.txt"]


def answer(number: int) -> Turn:
    """A text, and so many calls. Two of them differ in their arguments alone."""
    return Turn(
        TEXT, "hm", calls=[Call("sh", {"cmd": c}, f"call_{i}") for i, c in enumerate(COMMANDS[:number])]
    )


def stream(format: Any, number: int) -> list[Json]:
    chunks = [copy.deepcopy(event) for event in events(answer(number), format, number=1, body={}, pieces=3)]
    chunks[0]["number"] = number
    return chunks


def renumbered(prefix: str) -> Callable[[], str]:
    count = itertools.count()
    return lambda: f"{prefix}{next(count)}"
