"""Noticing that files grow: one inotify(7) instance for any number of files."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_IN_MODIFY, _IN_CLOSE_WRITE, _IN_DELETE_SELF = 0x2, 0x8, 0x400
_IN_NONBLOCK, _IN_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_HEADER = struct.Struct("iIII")
_OVERFLOW = -1  # the watch descriptor of IN_Q_OVERFLOW: events were lost
_POLL_SECONDS = 0.1


class FileWatch:
    """Calls a function whenever a file was written to. Created and used inside one asyncio event loop.

    Where inotify is not available or has reached its limit, the function is called every 0.1 seconds.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC)
        self._watched: dict[int, Callable[[], None]] = {}
        if self._fd >= 0:
            self._loop.add_reader(self._fd, self._read)

    def watch(self, path: Path, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after each write to the file, until the returned function is called.

        A file can be watched once at a time.
        """
        watch = -1
        if self._fd >= 0:
            mask = _IN_MODIFY | _IN_CLOSE_WRITE | _IN_DELETE_SELF
            watch = self._libc.inotify_add_watch(self._fd, os.fsencode(path), mask)
        if watch < 0:
            return self._poll(changed)
        self._watched[watch] = changed

        def stop() -> None:
            self._watched.pop(watch, None)
            if self._fd >= 0:
                self._libc.inotify_rm_watch(self._fd, watch)

        return stop

    def close(self) -> None:
        """Release the descriptor."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _poll(self, changed: Callable[[], None]) -> Callable[[], None]:
        timer: asyncio.TimerHandle

        def again() -> None:
            nonlocal timer
            timer = self._loop.call_later(_POLL_SECONDS, again)
            changed()

        timer = self._loop.call_later(_POLL_SECONDS, again)
        return lambda: timer.cancel()

    def _read(self) -> None:
        found: set[int] = set()
        with suppress(BlockingIOError):
            data = os.read(self._fd, 1 << 16)
            at = 0
            while at < len(data):
                watch, _, _, length = _HEADER.unpack_from(data, at)
                at += _HEADER.size + length
                found.add(watch)
        for watch, changed in list(self._watched.items()) if _OVERFLOW in found else []:
            found.discard(watch)
            changed()
        for watch in found:
            self._watched.get(watch, _nothing)()


def _nothing() -> None:
    """For a watch that was removed after its event."""
