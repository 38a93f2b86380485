"""Contents that no one else keeps, in one nameless file: gone with the process, whatever ends it."""

from __future__ import annotations

import os
import struct
import tempfile
import weakref
import zlib
from pathlib import Path

from agent_runtime.tracking.entries import NOWHERE

_HEADER = struct.Struct("<?Q")
_BUFFER = 1 << 20
_COMPRESS_FROM = 4096  # bytes; below, setting zlib up costs more than the disk


class ContentStore:
    """Append-only. Holds at most `limit` bytes; what is added past that is not kept (NOWHERE).

    Args:
        directory: where the nameless file lives; outside the workspace.
        limit: bytes; default 1 GiB, and never more than half of what the file system has free.
    """

    def __init__(self, directory: Path, *, limit: int = 1 << 30) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._fd, name = tempfile.mkstemp(dir=directory, prefix="contents-")
        Path(name).unlink()
        self.close = weakref.finalize(self, os.close, self._fd)  # gives the space back, once
        free = os.fstatvfs(self._fd)
        self._limit = min(limit, free.f_bavail * free.f_frsize // 2)
        self._tail = bytearray()
        self._flushed = 0

    def add(self, data: bytes) -> int:
        """Keep it. Returns its offset, or NOWHERE when the store is full or cannot be written."""
        packed = zlib.compress(data, 1) if len(data) >= _COMPRESS_FROM else data
        offset = self._flushed + len(self._tail)
        if offset + len(packed) > self._limit:
            return NOWHERE
        self._tail += _HEADER.pack(packed is not data, len(packed)) + packed
        if len(self._tail) >= _BUFFER:
            self._flush()
        return offset

    def get(self, offset: int) -> bytes:
        """What was added there. Raises OSError when the disk fails."""
        if self._tail:
            self._flush()
        compressed, length = _HEADER.unpack(os.pread(self._fd, _HEADER.size, offset))
        data = os.pread(self._fd, length, offset + _HEADER.size)
        return zlib.decompress(data) if compressed else data

    def _flush(self) -> None:
        view = memoryview(self._tail)
        while view:
            done = os.pwrite(self._fd, view, self._flushed)
            self._flushed += done
            view = view[done:]
        view.release()
        self._tail = bytearray()
