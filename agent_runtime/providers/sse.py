"""Decodes server-sent events, the stream format of all providers. Source: the HTML standard, section 9.2."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import NamedTuple

MAX_EVENT = 64 << 20  # bytes


class Event(NamedTuple):
    """One event: its name, "" where it has none, and its data, the lines joined by line feeds."""

    name: str
    data: str


class EventDecoder:
    """Decodes the bytes of one stream, in pieces of any size. Events without data are left out.

    Names and data are all that is read; comments, ids and other fields are skipped.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []  # of a line that has not ended
        self._size = 0  # bytes of the pieces and of the data
        self._after_cr = False  # a line feed that comes next belongs to the last line's end
        self._begun = False
        self._name = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Yield the events that the piece completes.

        Raises:
            UnicodeDecodeError: a line is not UTF-8.
            ValueError: an event is larger than MAX_EVENT.
        """
        self._size += len(piece)
        if self._size > MAX_EVENT:
            raise ValueError(f"an event is larger than {MAX_EVENT >> 20} MiB")
        if self._after_cr and piece:
            self._after_cr = False
            piece = piece.removeprefix(b"\n")
        if b"\n" not in piece and b"\r" not in piece:
            self._pieces.append(piece)  # joined once: a long line may come in thousands of pieces
            return
        self._pieces.append(piece)
        lines = b"".join(self._pieces).splitlines(keepends=True)
        self._pieces = [] if lines[-1].endswith((b"\n", b"\r")) else [lines.pop()]
        self._after_cr = not self._pieces and lines[-1].endswith(b"\r")
        for line in lines:
            yield from self._line(line.rstrip(b"\r\n"))

    def finish(self) -> Iterator[Event]:
        """Yield the last event where the stream ended without the empty line behind it. Raises UnicodeDecodeError."""
        yield from self._line(b"".join(self._pieces))
        yield from self._line(b"")
        self._pieces = []

    def _line(self, line: bytes) -> Iterator[Event]:
        if not self._begun:
            self._begun = True
            line = line.removeprefix(codecs.BOM_UTF8)
        if not line:
            name, data = self._name, "\n".join(self._data)
            self._name, self._data, self._size = "", [], sum(map(len, self._pieces))
            if data.strip():
                yield Event(name, data)
            return
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" ").decode())
        elif field == b"event":
            self._name = value.removeprefix(b" ").decode()
