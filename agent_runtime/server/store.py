"""Idempotency keys: which run answers which key. In SQLite, so that they hold across restarts and between servers."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEPT = 86_400.0  # seconds that a key is remembered


def digest(body: Any) -> str:
    """SHA-256 of a request's body, independent of the order of its fields."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Claim:
    """What a key is bound to. `is_new`: since this claim."""

    digest: str
    run_id: str
    is_new: bool


class IdempotencyStore:
    """Keys and the runs that they have started. May be used in any thread.

    Args:
        path: of the database; created when absent.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS keys"
            " (key TEXT PRIMARY KEY, digest TEXT NOT NULL, run TEXT NOT NULL, created REAL NOT NULL)"
        )

    def claim(self, key: str, digest: str, run_id: str) -> Claim:
        """Bind a key to a run, unless it is bound already."""
        now = time.time()
        with self._lock:
            self._connection.execute("DELETE FROM keys WHERE created < ?", (now - KEPT,))
            inserted = self._connection.execute(
                "INSERT OR IGNORE INTO keys VALUES (?, ?, ?, ?)", (key, digest, run_id, now)
            ).rowcount
            row = self._connection.execute("SELECT digest, run FROM keys WHERE key = ?", (key,)).fetchone()
        return Claim(digest=row[0], run_id=row[1], is_new=inserted > 0)

    def release(self, key: str) -> None:
        """Forget a key: its run was not started."""
        with self._lock:
            self._connection.execute("DELETE FROM keys WHERE key = ?", (key,))

    def close(self) -> None:
        """Close the database."""
        self._connection.close()
