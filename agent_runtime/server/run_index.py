"""The list of the runs, with their status."""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from agent_runtime.server.run_files import RunFiles, RunRecord


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run in a list.

    Attributes:
        status: `queued`, `running`, or that of its `complete` event; None: not known, see Dispatcher.statuses.
    """

    record: RunRecord
    status: str | None


class RunIndex:
    """Lists runs. The files of a run that has ended are read once, as it no longer changes. For use in any thread.

    Args:
        folder: has a folder for each run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ended: dict[str, ListedRun] = {}
        self._lock = Lock()
        self._recent: tuple[float, list[ListedRun]] = (-math.inf, [])  # when they were listed, the rows

    def rows(self) -> list[ListedRun]:
        """All runs, the latest first."""
        names: list[str] = []
        with suppress(OSError):
            names = os.listdir(self._folder)  # noqa: PTH208 - names are enough
        self._ended = {name: self._ended[name] for name in names if name in self._ended}
        rows = filter(None, map(self._row, names))
        return sorted(rows, key=lambda row: (row.record.created, row.record.run_id), reverse=True)

    def recent_rows(self, seconds: float) -> list[ListedRun]:
        """All runs, the latest first, as they were at most so many seconds ago, for clients that ask repeatedly."""
        with self._lock:
            listed, rows = self._recent
            if time.monotonic() - listed > seconds:
                rows = self.rows()
                self._recent = (time.monotonic(), rows)
            return rows

    def _row(self, name: str) -> ListedRun | None:
        if name.startswith("."):  # a folder that is being prepared
            return None
        if name in self._ended:
            return self._ended[name]
        if (self._folder / name).is_symlink():  # the new id of a thawed run
            return None
        files = RunFiles(self._folder / name)
        record = files.record()
        if record is None:  # neither started by a server nor recorded
            return None
        outcome = files.outcome(record)
        if outcome is None:
            return ListedRun(record, "running")
        row = ListedRun(record, outcome["status"])
        if record.is_kept or files.is_complete():  # not while its end cannot be written
            self._ended[name] = row
        return row
