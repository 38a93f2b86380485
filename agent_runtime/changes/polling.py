"""Polling the folders that the run works in, with watchfiles, where there is no inotify.

inotify's queue (see `system.inotify`) can be read at the moment when a command has ended, which is not possible with a
library that delivers later from a thread of its own. Without inotify, watchfiles polls outside of the interpreter. It
keeps an entry for every file (15 MB for 100,000), makes them while it holds the interpreter's lock, and compares whole
seconds; so it is given few folders, and only says when to look there. The walk of the whole tree decides what has
changed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

from anyio import to_thread

from agent_runtime.system.byte_paths import is_folder, is_text, under

_POLL_MS = 250
_STEP_MS = 25  # how soon the polling thread notices that it is to stop
_ROUND_MS = 500


class PolledFolders:
    """Says when something may have happened directly in one of a few folders. Must be closed.

    Args:
        root: what the folders are relative to.
    """

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._folders: frozenset[bytes] = frozenset()
        self._changes: Iterator[object] | None = None
        self._stop = threading.Event()

    async def wait(self, folders: frozenset[bytes], seconds: float) -> bool:
        """Return True as soon as these folders may have changed since they were first given, False after that time."""
        if folders != self._folders:
            self.close()
            self._folders, self._stop = folders, threading.Event()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if await to_thread.run_sync(self._next, abandon_on_cancel=True):
                return True
        return False

    def close(self) -> None:
        """Stop the polling thread."""
        self._stop.set()
        self._folders, self._changes = frozenset(), None

    def _next(self) -> bool:
        """One round of polling. True if something happened, or may have happened before the polling began."""
        try:
            if self._changes:
                return bool(next(self._changes))
            self._changes = self._polled()
            next(self._changes)
        except (OSError, RuntimeError, StopIteration):  # a folder is gone, or has a name that is not UTF-8
            self._changes = None
        return True

    def _polled(self) -> Iterator[object]:
        from watchfiles import watch

        whole = (under(self._root, folder) for folder in self._folders)
        return watch(
            *(os.fsdecode(folder) for folder in whole if is_text(folder) and is_folder(folder)),
            watch_filter=None,
            recursive=False,
            force_polling=True,
            poll_delay_ms=_POLL_MS,
            debounce=2 * _STEP_MS,
            step=_STEP_MS,
            rust_timeout=_ROUND_MS,
            yield_on_timeout=True,
            stop_event=self._stop,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )
