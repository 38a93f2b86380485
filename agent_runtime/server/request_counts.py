"""How many requests each API key has made in its current minute, on all servers that have the same state directory.

The counts are in SQLite. Where the database cannot be used, for example on a full disk, a server counts by itself.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

WINDOW = 60.0  # seconds
_LOCKED_SECONDS = 1.0  # how long a request waits while another server counts
_TABLE = (
    "CREATE TABLE IF NOT EXISTS windows (key TEXT PRIMARY KEY, started REAL NOT NULL, count INTEGER NOT NULL)"
)
# A window may begin a little after the time of a request that has waited for the database. One that begins later is
# from before the clock was set back.
_ADD = """
INSERT INTO windows VALUES (:key, :now, 1) ON CONFLICT (key) DO UPDATE SET
    count = iif(:now - started BETWEEN :earliest AND :longest, min(count, :limit) + 1, 1),
    started = iif(:now - started BETWEEN :earliest AND :longest, started, :now)
RETURNING started, count
"""


@dataclass(frozen=True)
class Window:
    """The minute of a key.

    Attributes:
        started: when its first request came, in seconds of `time.time`.
        count: its requests until now; one more than the limit when the last one is refused.
    """

    started: float
    count: int


@dataclass
class RequestCounts:
    """Counts requests. May be used in any thread.

    Args:
        path: of the database; it is created for the first request.
    """

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _connection: sqlite3.Connection | None = None
    _own: sqlite3.Connection | None = None  # in memory: for as long as the other cannot be used

    def add(self, key: str, limit: int) -> Window:
        """Count a request of a key, and return its window. Blocking, for at most about a second."""
        name = hashlib.sha256(key.encode()).hexdigest()  # no file has keys
        bounds = {"earliest": -2 * _LOCKED_SECONDS, "longest": WINDOW - 1e-6, "limit": limit}
        with self._lock:
            values = {"key": name, "now": time.time()} | bounds
            try:
                if self._connection is None:
                    self._connection = _opened(str(self.path))
                return _added(self._connection, values)
            except sqlite3.Error as error:
                log.debug("%s: %s", self.path, error)
                self._own = self._own or _opened(":memory:")
                return _added(self._own, values)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            for connection in (self._connection, self._own):
                if connection is not None:
                    connection.close()
            self._connection = self._own = None


def _added(connection: sqlite3.Connection, values: Mapping[str, object]) -> Window:
    [row] = connection.execute(_ADD, values).fetchall()  # all rows are read: the statement is committed then
    return Window(*row)


def _opened(path: str) -> sqlite3.Connection:
    deadline = time.monotonic() + _LOCKED_SECONDS
    while True:
        try:
            return _connected(path)
        except sqlite3.OperationalError as error:
            # SQLite does not wait where another process changes the journal mode
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _connected(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=_LOCKED_SECONDS, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # a minute that is lost with the machine does no harm
        connection.execute(_TABLE)
    except BaseException:
        connection.close()
        raise
    return connection
