"""Texts of events for a terminal: without control sequences, abridged, with durations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from agent_runtime.lazy import lazy_pattern
from agent_runtime.shell.ansi import strip_escapes

T = TypeVar("T")

_CONTROLS = lazy_pattern(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CUT = lazy_pattern(r"\[\.\.\. \d+ bytes \((\d+) lines\) cut here; ")


def command_of(value: Any) -> tuple[str, list[str]]:
    """Return the title and the body of a call: a single line is the title, several lines are the body."""
    if isinstance(value, dict):
        main = next(
            (name for name in ("command", "cmd", "patch", "input", "path", "pattern") if name in value), None
        )
        text = str(value[main]) if main else json.dumps(value, ensure_ascii=False)
        if main == "command" and isinstance(value.get("path"), str):  # view, create, insert, ... of an editor
            text = f"{text} {value['path']}"
    else:
        text = str(value)
    first, *rest = clean(text).strip().splitlines() or [""]
    return (first, []) if not rest else ("", [first, *rest])


def abridged(lines: Sequence[T], limit: int, cut: int = 0) -> list[T | str]:
    """Return the head and tail of the lines, and a line with the number of lines between them.

    `cut` is the number of lines that are missing already, because the output was truncated.
    """
    if len(lines) <= limit:
        return list(lines)
    head = limit // 3
    tail = limit - head - 1
    return [*lines[:head], f"… {len(lines) - head - tail + cut:,} more lines …", *lines[-tail:]]


def lines_cut(lines: Sequence[str]) -> int:
    """Return how many lines a truncated output lacks, from its marker (see shell.truncation.join_truncated)."""
    found = next(filter(None, map(_CUT.match, lines)), None)
    return int(found[1]) - 1 if found else 0  # the marker is a line itself


def seconds(milliseconds: object) -> str:
    """Return a duration in seconds."""
    return f"{milliseconds / 1000:.1f} s" if isinstance(milliseconds, int | float) else "? s"


def clean(text: object) -> str:
    """Return a text without what could control the terminal."""
    return _CONTROLS.sub("", strip_escapes(str(text).expandtabs(4)))
