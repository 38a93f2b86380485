"""Remembers the arguments of tool calls, which may name ports and commands of servers before these start."""

from __future__ import annotations

import json
import os
import time
from collections import deque

from agent_runtime.lazy import lazy_pattern
from agent_runtime.system.processes import Process

_CALLS = 200  # the latest that are kept
_LENGTH = 20_000  # characters of each
_PORT = lazy_pattern(r"(?<![\d.])\d{2,5}(?![\d.]\d)")


class CallArguments:
    """The arguments of the calls of a run."""

    def __init__(self) -> None:
        self.ports: set[int] = set()  # every number that may be a port
        self._calls: deque[tuple[int, str]] = deque(maxlen=_CALLS)

    def note(self, arguments: str) -> None:
        """Remember the arguments of a call that is about to run, as the model wrote them."""
        text = _plain(arguments)[:_LENGTH]
        self.ports.update(number for number in map(int, _PORT.findall(text)) if number <= 65535)
        self._calls.append((ticks(), text))

    def name(self, process: Process) -> bool:
        """Return whether an earlier call named the arguments of a process, or its program if it has none."""
        words = process.argv[1:] or [process.argv[0].rpartition("/")[2]] if process.argv else []
        return bool(words) and any(
            when <= process.start and all(word in text for word in words) for when, text in self._calls
        )


def _plain(arguments: str) -> str:
    """The values, without JSON's escapes."""
    try:
        parsed = json.loads(arguments)
    except ValueError:
        return arguments
    return "\n".join(map(str, parsed.values())) if isinstance(parsed, dict) else arguments


def ticks() -> int:
    """The time in clock ticks since boot, as `Process.start` is given."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))
