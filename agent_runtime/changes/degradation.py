"""Records what the change tracker could not do: one notice for each kind of limit, which explains missing events."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from typing import Literal

from agent_runtime.protocol.events import NoticeEvent

log = logging.getLogger(__name__)

Limit = Literal["off", "unreadable", "failed", "disk", "old_content", "diff_budget", "time", "unexamined"]
_MESSAGES: dict[Limit, str] = {
    "off": "changed files are not reported: the workspace could not be read",
    "unreadable": "changes in directories that cannot be read are not reported",
    "failed": "a file could not be examined; its changes are not reported",
    "disk": "a diff could not be written to the state directory",
    "old_content": "the store of old contents is full: some changes are reported without a diff",
    "diff_budget": "the diffs of this run have reached their limit on disk: large changes are reported without a diff",
    "time": "the run ended before all diffs were made: some changes have an event without a diff, or none",
    "unexamined": "the run ended before all files were examined: `complete.files` may miss some or name others",
}


class Degradation:
    """Collects limits that were met, in any thread; each kind is reported once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._met: set[Limit] = set()
        self._notices: list[NoticeEvent] = []

    def note(
        self,
        limit: Limit,
        path: bytes = b"",
        error: BaseException | None = None,
        details: Mapping[str, int] = {},
    ) -> None:
        """Note that a limit was met, at this path. `details` are added to those of the notice."""
        with self._lock:
            if limit in self._met:
                return
            self._met.add(limit)
            message = _MESSAGES[limit]
            reported: dict[str, str | int] = {"limit": limit, **details}
            if path:
                reported["path"] = os.fsdecode(path).encode(errors="replace").decode()
            if error is not None:
                message += f": {error!r}"
            self._notices.append(NoticeEvent(code="tracking_degraded", message=message, details=reported))
        log.info("%s %r", message, path, exc_info=error)

    def skipping(self, path: bytes) -> _Skipping:
        """Return a context in which an exception is noted and does not go further: the next path follows."""
        return _Skipping(self, path)

    def take(self) -> list[NoticeEvent]:
        """Return the notices that were not returned before."""
        with self._lock:
            notices, self._notices = self._notices, []
        return notices


class _Skipping:
    """A class, since generators cost too much for every name of a tree."""

    __slots__ = ("_degradation", "_path")

    def __init__(self, degradation: Degradation, path: bytes) -> None:
        self._degradation, self._path = degradation, path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, at: object) -> bool:
        if not isinstance(error, Exception):
            return False
        self._degradation.note("failed", self._path, error)
        return True
