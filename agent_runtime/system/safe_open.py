"""Opening files that others control: never waiting, never following a path out of a folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read_bounded(path: Path, limit: int, *, inside: Path | None = None) -> bytes:
    """At most `limit` bytes of a regular file; never waits, whatever the path is (a FIFO, a device).

    Args:
        path: the file.
        limit: bytes; one more is read, so that the caller sees that there are more.
        inside: refuse a file that is, links followed, not below this directory.

    Raises:
        OSError: it cannot be read, is not a regular file, or is outside.
    """
    with open(path, "rb", buffering=0, opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"not a regular file: {path}")
        real = Path(f"/proc/self/fd/{file.fileno()}").readlink()
        if real.parts[1] in ("proc", "sys"):  # regular by their kind, and full of this process's secrets
            raise OSError(f"not a regular file: {path}")
        if inside is not None and not real.is_relative_to(inside.resolve()):
            raise OSError(f"outside of {inside}: {path}")
        data = bytearray()
        while len(data) <= limit and (piece := file.read(limit + 1 - len(data))):
            data += piece
        return bytes(data)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
