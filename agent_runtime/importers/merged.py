"""The lines of a session and of its sub-agents in the order in which they were written."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from agent_runtime.importers.session_lines import Json


class Tagged(NamedTuple):
    """A line, and the chain that it belongs to: MAIN, or the id of a sub-agent."""

    chain: str
    value: Json


def merged(files: Sequence[Iterable[Tagged]]) -> Iterator[Tagged]:
    """Yield the lines of all files by their times; the order within each file is kept."""
    timed = [_timed(number, file) for number, file in enumerate(files)]
    return (tagged for _, _, _, tagged in heapq.merge(*timed, key=lambda each: each[:3]))


def _timed(file: int, lines: Iterable[Tagged]) -> Iterator[tuple[str, int, int, Tagged]]:
    latest = ""
    for number, tagged in enumerate(lines):
        when = tagged.value.get("timestamp")
        latest = max(latest, when) if isinstance(when, str) else latest
        yield latest, file, number, tagged
