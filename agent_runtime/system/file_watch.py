"""Waiting until files grow: one inotify(7) instance for any number of files and waiters."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from pathlib import Path

_IN_MODIFY, _IN_CLOSE_WRITE, _IN_DELETE_SELF = 0x2, 0x8, 0x400
_IN_NONBLOCK, _IN_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_HEADER = struct.Struct("iIII")


class FileWatch:
    """Wakes tasks that wait for a file to change. Created and used inside one asyncio event loop.

    Where inotify is not available, waiting is a short sleep.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC)
        self._waiting: dict[int, set[asyncio.Future[None]]] = {}
        if self._fd >= 0:
            asyncio.get_running_loop().add_reader(self._fd, self._read)

    async def changed(self, path: Path, seconds: float) -> None:
        """Wait until the file was written to, at most this many seconds. May return early."""
        watch = -1
        if self._fd >= 0:
            mask = _IN_MODIFY | _IN_CLOSE_WRITE | _IN_DELETE_SELF
            watch = self._libc.inotify_add_watch(self._fd, os.fsencode(path), mask)
        if watch < 0:
            await asyncio.sleep(min(seconds, 0.1))
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(watch, set()).add(future)
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            pass
        finally:
            waiting = self._waiting.get(watch, set())
            waiting.discard(future)
            if not waiting:
                self._waiting.pop(watch, None)
                self._libc.inotify_rm_watch(self._fd, watch)

    def close(self) -> None:
        """Release the descriptor."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            watch, _, _, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size + length
            for future in self._waiting.get(watch, ()):
                if not future.done():
                    future.set_result(None)
