"""The events in a file: the stream that a run writes for a server, or a transcript, which contains the same lines."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

# bytes at the end of a file that may, and that must contain its last event, which has at most 1 MiB
_TAILS = (1 << 14, 1 << 21)
_NEAR = 1 << 16  # bytes that are read without a search
# as the runtime writes them; saves parsing the rest
_HEAD = re.compile(rb'(\{"kind":"event","at":\d+,"event":)?\{"type":"(\w+)","seq":(\d+),')


@dataclass(frozen=True, slots=True)
class Line:
    """An event: its number, its type, and the JSON as it was written."""

    seq: int
    type: str
    text: bytes


def event_in(data: bytes) -> Line | None:
    """Return the event in a line of a file; None for the other records of a transcript, and for what is damaged."""
    if head := _HEAD.match(data):
        text = data[head.end(1) : -1] if head[1] else data
        return Line(int(head[3]), head[2].decode(), text)
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        record = json.loads(data)
        if record.get("kind") == "event":
            record = record["event"]
            data = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
        return Line(record["seq"], record["type"], data)
    return None


def events_in(lines: Iterable[bytes]) -> list[Line]:
    """Return the events in lines of a file."""
    return [event for event in map(event_in, lines) if event is not None]


def complete_in(file: BinaryIO) -> dict[str, Any] | None:
    """Return the `complete` event when it is the last event of a file."""
    size = file.seek(0, os.SEEK_END)
    for tail in _TAILS:
        file.seek(max(0, size - tail))
        lines = file.read().split(b"\n")
        for data in reversed(lines[1:] if tail < size else lines):  # the first one may not be whole
            if (event := event_in(data)) is not None:
                complete: dict[str, Any] | None = json.loads(event.text) if event.type == "complete" else None
                return complete
    return None


def seek_after(file: BinaryIO, after: int) -> int:
    """Move to the beginning of a line before which there is no event with a number above `after`; returns its offset.

    It is near to the first such event, however large the file is.
    """
    low, high = 0, file.seek(0, os.SEEK_END)
    while after >= 0 and high - low > _NEAR:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()  # the rest of a line
        event = None
        while event is None and file.tell() < high and (data := file.readline()):
            event = event_in(data.rstrip(b"\n")) if data.endswith(b"\n") else None
        if event is not None and event.seq <= after:
            low = file.tell()
        else:
            high = middle
    return file.seek(low)


def first_seq(file: BinaryIO) -> int | None:
    """Return the number of the first event of a file; None when there is none."""
    file.seek(0)
    return next((event.seq for event in map(event_in, file) if event is not None), None)
