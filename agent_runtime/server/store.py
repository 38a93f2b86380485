"""Idempotency keys: which run answers which key. In SQLite, so that they hold across restarts and between servers."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_runtime.errors import RequestError
from agent_runtime.system.processes import Process

_LOCKED_SECONDS = 5.0  # how long a request waits while another process has locked the database
KEPT = 86_400.0  # seconds that a key is remembered


def digest(body: Any) -> str:
    """SHA-256 of a request's body, independent of the order of its fields."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Claim:
    """The run that a key is bound to.

    Attributes:
        digest: of the body of the request.
        server, server_started: pid and start time of the process that has bound it.
        is_new: it was bound by this claim.
    """

    digest: str
    run_id: str
    server: int
    server_started: int
    is_new: bool


class IdempotencyStore:
    """Keys and the runs that they have started. May be used in any thread.

    Args:
        path: of the database; created when absent.

    Raises:
        RequestError: the database cannot be used. The methods raise sqlite3.Error.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._own = Process.own()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _opened(path)
        except (OSError, sqlite3.Error) as error:
            message = f"{path} cannot be used ({error}); if it is damaged, move it away"
            raise RequestError("stateDir", message) from error

    def claim(self, key: str, digest: str, run_id: str, *, abandoned: str | None = None) -> Claim:
        """Bind a key to a run, unless it is bound already.

        Args:
            abandoned: a run that the key may be taken from: its server was killed before the run was started.

        Raises:
            sqlite3.Error: the database cannot be written, or stays locked.
        """
        now = time.time()
        with self._alone():
            self._connection.execute(
                "DELETE FROM claims WHERE created < ? OR (key = ? AND run = ?)", (now - KEPT, key, abandoned)
            )
            inserted = self._connection.execute(
                "INSERT OR IGNORE INTO claims VALUES (?, ?, ?, ?, ?, ?)",
                (key, digest, run_id, self._own.pid, self._own.start, now),
            ).rowcount
            row = self._connection.execute(
                "SELECT digest, run, server, server_started FROM claims WHERE key = ?", (key,)
            ).fetchone()
        return Claim(row[0], row[1], row[2], row[3], is_new=inserted > 0)

    def release(self, key: str, run_id: str) -> None:
        """Forget that a key is bound to a run: it was not started. Raises sqlite3.Error."""
        with self._alone():
            self._connection.execute("DELETE FROM claims WHERE key = ? AND run = ?", (key, run_id))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=_LOCKED_SECONDS):
            raise sqlite3.OperationalError("database is locked")
        try:
            yield
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the database."""
        self._connection.close()


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=_LOCKED_SECONDS, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # is safe against killed processes; the files of runs are not synced either
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, digest TEXT NOT NULL, run TEXT NOT NULL,"
            " server INTEGER NOT NULL, server_started INTEGER NOT NULL, created REAL NOT NULL)"
        )
    except BaseException:
        connection.close()
        raise
    return connection
