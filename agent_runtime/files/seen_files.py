"""What the model has seen of files: their content when it last read or changed them through the tools."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from agent_runtime.errors import ToolError
from agent_runtime.files.line_numbers import fitted
from agent_runtime.files.page import binary_kind
from agent_runtime.files.snapshot import Snapshot
from agent_runtime.files.text_file import LARGE, TextFile, decode
from agent_runtime.text_encoding import Encoding

_HEAD = 65_536
_PRESENT = 16_000  # bytes of a file's present text in a refusal


class SeenFiles:
    """Digests and encodings of the files that the model has seen.

    Content is compared, not time: a touch, or a rewrite with the same bytes, is not a change.
    """

    def __init__(self) -> None:
        self._digests: dict[Path, bytes] = {}
        self._encodings: dict[Path, Encoding] = {}

    def saw(self, real: Path, data: bytes) -> None:
        """The model has read this file, or has written it."""
        self._digests[real] = _digest(data)

    def saw_part(self, real: Path, fd: int) -> None:
        """The model has read a part of a large file, which is open as `fd`."""
        os.lseek(fd, 0, os.SEEK_SET)
        with open(fd, "rb", closefd=False) as file:
            self._digests[real] = hashlib.file_digest(file, "sha256").digest()

    def forget(self, real: Path) -> None:
        """The file was deleted."""
        self._digests.pop(real, None)
        self._encodings.pop(real, None)

    def decode(self, real: Path, data: bytes) -> TextFile:
        """The text of a file, in the encoding that was found first.

        An edit of ours may change the evidence for an encoding, but it does not change the encoding. The
        encoding of a file that others have changed meanwhile is detected again.
        """
        known = self._encodings.get(real) if self._digests.get(real) == _digest(data) else None
        file = decode(data, known)
        self._encodings[real] = file.encoding
        return file

    def refuse_stale(self, real: Path, now: Snapshot, display: str, near: str = "") -> None:
        """Raise ToolError with the present text when the file is not as the model has seen it.

        The text then counts as seen. A file that the model never saw is not stale.
        """
        known = self._digests.get(real)
        if known is None or known == _digest(now.data):
            return
        self.saw(real, now.data)
        self._encodings.pop(real, None)
        raise ToolError(_present(now.data, display, near))


def _present(data: bytes, display: str, near: str) -> str:
    """The file's text as it is now, or the part of it around the text that the model looked for."""
    changed = f"{display} has changed on disk since you last read it, so nothing was written."
    if kind := binary_kind(data[:_HEAD], len(data)):
        return f"{changed} It is now {kind} ({len(data):,} bytes)."
    if len(data) > LARGE:
        return (
            f"{changed} It is too large ({len(data):,} bytes) to be repeated here: read the lines to change."
        )
    lines = decode(data).lines
    first = _line_of(lines, near)
    text, count = fitted(lines[first:], first + 1, _PRESENT)
    where = "" if count == len(lines) else f" (lines {first + 1}-{first + count} of {len(lines)})"
    return (
        f"{changed} Its present text{where}:\n{text}\nLook at it, and repeat the edit if it is still right."
    )


def _line_of(lines: list[str], near: str) -> int:
    """The first line (from 0) to include: of a file that does not fit, one shortly before a line of `near`."""
    if sum(map(len, lines)) + 8 * len(lines) <= _PRESENT:
        return 0
    wanted = [line.strip() for line in near.splitlines() if len(line.strip()) > 3]
    places = (i for i, line in enumerate(lines) if any(text in line for text in wanted))
    return max(0, next(places, 0) - 40)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
