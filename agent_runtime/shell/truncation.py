"""Truncates outputs that are too long for the model: head and tail are kept, and the whole is written to a file."""

from __future__ import annotations

import codecs
import contextlib
from pathlib import Path

from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.protocol.messages import clean_text
from agent_runtime.protocol.text import join_ends, split_ends
from agent_runtime.shell.ansi import UNFINISHED, clean
from agent_runtime.shell.output_log import BoundedLog

_START_LIMIT = 4096  # bytes that `whole_tail` leaves out at most
_WHOLE = lazy_pattern(rb"[\n\x1b]")
BYTES_PER_TOKEN = 4  # no tokenizer is loaded to cut an output


@dataclass(frozen=True)
class TruncatedOutput:
    """An output as the model receives it.

    Attributes:
        text: cut to the limit.
        truncated: was it cut?
        output_bytes: size of the whole.
        output_file: the file that has the whole, when it was cut and could be written.
    """

    text: str
    truncated: bool
    output_bytes: int
    output_file: str | None


class OutputStore:
    """The files of whole outputs.

    Args:
        directory: created when the first output needs it.
        spill_limit: bytes that one output may take on the disk; the middle of a larger one is left out.
    """

    def __init__(self, directory: Path, *, spill_limit: int = 64 << 20) -> None:
        self.directory = directory
        self.spill_limit = spill_limit

    def fit(self, text: str, *, tokens: int, call_id: str) -> TruncatedOutput:
        """Truncate a text to at most this many tokens. The whole is then written to a file."""
        text = clean(clean_text(text))
        size = len(text.encode())
        if size <= tokens * BYTES_PER_TOKEN:
            return TruncatedOutput(text, False, size, None)
        log = self.log(call_id)
        log.write(text.encode())
        log.close()
        head, tail = split_ends(text, text, tokens * BYTES_PER_TOKEN)
        short = join_truncated(head, tail, size, text.count("\n"), location(log))
        return TruncatedOutput(short, True, size, log.path if not log.error else None)

    def log(self, call_id: str) -> BoundedLog:
        """A new file for the output of a call; nothing is written yet."""
        with contextlib.suppress(OSError):
            self.directory.mkdir(parents=True, exist_ok=True)
        return BoundedLog(str(free_path(self.directory, call_id)), self.spill_limit)


def free_path(directory: Path, call_id: str) -> Path:
    """A path that does not exist yet for the log of a call: ids may be repeated, and may contain any characters."""
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in call_id).lstrip(".")[:100] or "call"
    path, number = directory / f"{name}.log", 2
    while path.exists():
        path, number = directory / f"{name}-{number}.log", number + 1
    return path


def join_truncated(head: str, tail: str, size: int, lines: int, location: str) -> str:
    """Head and tail of an output of `size` bytes and so many lines, and between them how much is missing and where the
    whole is.
    """
    missing = size - len(head.encode()) - len(tail.encode())
    missing_lines = max(lines - head.count("\n") - tail.count("\n"), 0)
    return join_ends(head, tail, f"{missing} bytes ({missing_lines} lines) cut here; {location}")


def location(log: BoundedLog) -> str:
    """Return the note for the model that says where the whole output is."""
    if log.error:
        return f"the whole output could not be written to {log.path}: {log.error}"
    if log.cut:
        return f"its beginning and its end, {log.size} bytes, are in {log.path}"
    return f"the whole output is in {log.path}"


def decode_head(data: bytes) -> str:
    """Text of bytes that may end in the middle of a character or a control sequence, which is left out."""
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(data)
    return UNFINISHED.sub("", text)


def whole_tail(data: bytes) -> bytes:
    """Bytes that may begin in the middle of a line, from its first control sequence on, or without the line."""
    start = _WHOLE.search(data, 0, _START_LIMIT)
    if start:
        return data[start.end() if start[0] == b"\n" else start.start() :]
    first = 0
    while first < min(3, len(data)) and data[first] & 0xC0 == 0x80:  # the rest of a character
        first += 1
    return data[first:]
