"""The directory of diffs that do not fit an event. Bounded in sum, and without incomplete files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from agent_runtime.changes.degradation import Degradation

_LIMIT = 256 << 20  # bytes of all diffs of a run
_SHARE = 4  # never more than this part of what the file system has free


class DiffFiles:
    """Writes diffs.

    Args:
        directory: made when the first diff needs it.
        degradation: records when a diff is left out.
    """

    def __init__(self, directory: Path, degradation: Degradation) -> None:
        self._directory = directory
        self._degradation = degradation
        self._number = 0
        self._remaining: int | None = None

    def write(self, pieces: Iterable[bytes]) -> str | None:
        """Write one diff. Returns its path; None when the budget or the disk does not allow it."""
        self._number += 1
        file = self._directory / f"{self._number:06d}.patch"
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            remaining = self._budget()
            with file.open("wb", buffering=0) as out:
                for piece in pieces:
                    remaining -= len(piece)
                    if remaining < 0:
                        self._degradation.note("diff_budget", os.fsencode(file))
                        break
                    _write_whole(out.fileno(), piece)
        except OSError as error:
            self._degradation.note("disk", os.fsencode(file), error)
            remaining = -1
        if remaining < 0:
            with suppress(OSError):
                file.unlink()
            return None
        self._remaining = remaining
        return str(file)

    def _budget(self) -> int:
        if self._remaining is None:
            free = os.statvfs(self._directory)
            self._remaining = min(_LIMIT, free.f_bavail * free.f_frsize // _SHARE)
        return self._remaining


def _write_whole(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
