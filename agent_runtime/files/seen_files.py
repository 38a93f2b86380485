"""What the model knows of files: their content when it last read or changed them through the tools."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from agent_runtime.errors import ToolError
from agent_runtime.files.line_numbers import fitted
from agent_runtime.files.page import binary_kind
from agent_runtime.files.snapshot import Snapshot
from agent_runtime.files.text_file import decode

_HEAD = 65_536
_SHOWN = 16_000  # bytes of a file's present text that a refusal carries


class SeenFiles:
    """Content is compared, not time: a mere touch, or a rewrite with the same bytes, is no change."""

    def __init__(self) -> None:
        self._seen: dict[Path, bytes] = {}

    def saw(self, real: Path, data: bytes) -> None:
        """The model has been shown this file, or has written it."""
        self._seen[real] = _digest(data)

    def saw_part(self, real: Path, fd: int) -> None:
        """The model has been shown a part of a large file, which is open as `fd`."""
        os.lseek(fd, 0, os.SEEK_SET)
        with open(fd, "rb", closefd=False) as file:
            self._seen[real] = hashlib.file_digest(file, "sha256").digest()

    def forget(self, real: Path) -> None:
        """The file is gone."""
        self._seen.pop(real, None)

    def refuse_stale(self, real: Path, now: Snapshot, shown: str, near: str = "") -> None:
        """Raises ToolError with the present text when the file is other than the model knows it.

        The refusal shows the text, so that it counts as seen afterwards. A file the model never saw is not
        stale.
        """
        known = self._seen.get(real)
        if known is None or known == _digest(now.data):
            return
        self.saw(real, now.data)
        raise ToolError(_present(now.data, shown, near))


def _present(data: bytes, shown: str, near: str) -> str:
    """The file's text as it is now, or the part of it around the words the model looked for."""
    changed = f"{shown} has changed on disk since you last read it, so nothing was written."
    if kind := binary_kind(data[:_HEAD], len(data)):
        return f"{changed} It is now {kind} ({len(data):,} bytes)."
    lines = decode(data).lines
    first = _line_of(lines, near)
    text, count = fitted(lines[first:], first + 1, _SHOWN)
    where = "" if count == len(lines) else f" (lines {first + 1}-{first + count} of {len(lines)})"
    return (
        f"{changed} Its present text{where}:\n{text}\nLook at it, and repeat the edit if it is still right."
    )


def _line_of(lines: list[str], near: str) -> int:
    """Where to begin: at the top, or, in a file too long to be shown whole, before a line of `near`."""
    if sum(map(len, lines)) + 8 * len(lines) <= _SHOWN:
        return 0
    wanted = [line.strip() for line in near.splitlines() if len(line.strip()) > 3]
    places = (i for i, line in enumerate(lines) if any(part in line for part in wanted))
    return max(0, next(places, 0) - 40)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
