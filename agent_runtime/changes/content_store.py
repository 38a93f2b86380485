"""Contents that are kept nowhere else, in one file without a name, which is gone with the process however that ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import weakref
import zlib
from pathlib import Path

from agent_runtime.changes.entries import NOWHERE

_HEADER = struct.Struct("<?Q")
_BUFFER = 1 << 20
_COMPRESS_FROM = 4096  # bytes; below, setting zlib up costs more than the disk


def _nameless(directory: Path) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC
    for folder in (directory, Path("/var/tmp"), Path("/tmp")):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):  # not every file system has files without a name
                return os.open(folder, flags | os.O_TMPFILE, 0o600)
            path = folder / f"contents-{os.getpid()}-{os.urandom(4).hex()}"
            fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
            path.unlink()
            return fd
        except OSError as error:
            trouble = error
    raise trouble


class ContentStore:
    """An append-only store. It holds at most `limit` bytes; further contents are not kept (NOWHERE), and `full` is set.

    Args:
        directory: where the file lives, outside the workspace; /var/tmp or /tmp if it cannot be written.
        limit: bytes; default 1 GiB, and never more than half of what the file system has free.

    Raises:
        OSError: none of the directories can be written.
    """

    def __init__(self, directory: Path, *, limit: int = 1 << 30) -> None:
        self._fd = _nameless(directory)
        self.close = weakref.finalize(self, os.close, self._fd)  # frees the space, once
        free = os.fstatvfs(self._fd)
        self._limit = min(limit, free.f_bavail * free.f_frsize // 2)
        self._punch = ctypes.CDLL(None).fallocate  # mode 3: PUNCH_HOLE and KEEP_SIZE, which the second needs
        self._punch.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
        self._tail = bytearray()
        self._flushed = 0
        self._released = 0
        self.full = False

    def add(self, data: bytes) -> int:
        """Store a content. Returns its offset, or NOWHERE when the store or the disk is full."""
        packed = zlib.compress(data, 1) if len(data) >= _COMPRESS_FROM else data
        offset = self._flushed + len(self._tail)
        if offset + len(packed) - self._released > self._limit:
            self.full = True
            return NOWHERE
        self._tail += _HEADER.pack(packed is not data, len(packed)) + packed
        if len(self._tail) >= _BUFFER:
            try:
                self._flush()
            except OSError:
                self._limit = 0  # what is in memory stays there, and nothing more is accepted
        return offset

    def get(self, offset: int) -> bytes:
        """Return what was added there. Raises OSError, zlib.error or struct.error when the disk fails."""
        compressed, length = _HEADER.unpack(self._read(offset, _HEADER.size))
        data = self._read(offset + _HEADER.size, length)
        return zlib.decompress(data) if compressed else data

    def release(self, offset: int) -> None:
        """Free the space of a content that is not needed any more, where the file system can."""
        try:
            _, length = _HEADER.unpack(self._read(offset, _HEADER.size))
        except OSError:
            return
        if offset < self._flushed and self._punch(self._fd, 3, offset, length + _HEADER.size) == 0:
            self._released += length

    def _read(self, offset: int, length: int) -> bytes:
        if offset >= self._flushed:
            at = offset - self._flushed
            return bytes(self._tail[at : at + length])
        return os.pread(self._fd, length, offset)

    def _flush(self) -> None:
        done = 0
        while done < len(self._tail):
            done += os.pwrite(self._fd, self._tail[done:] if done else self._tail, self._flushed + done)
        self._flushed += done
        self._tail = bytearray()
