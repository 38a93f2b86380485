"""The files of the thread store: opens the database, and locks threads against a second writer."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from agent_runtime.errors import RequestError
from agent_runtime.lazy import lazy_pattern

SCHEMA = 1
_ID = lazy_pattern(r"[A-Za-z0-9._-]{1,128}")
_BUSY_SECONDS = 10.0  # how long a write waits for another process's
_TABLES = (
    "CREATE TABLE threads (id TEXT PRIMARY KEY, agent TEXT NOT NULL, title TEXT NOT NULL,"
    " created REAL NOT NULL, updated REAL NOT NULL, messages INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX threads_by_use ON threads (updated, id)",
    "CREATE TABLE entries (thread TEXT NOT NULL, number INTEGER NOT NULL, shortened INTEGER NOT NULL,"
    " body TEXT NOT NULL, PRIMARY KEY (thread, number)) WITHOUT ROWID",
)


class ThreadBusy(RequestError):
    """Another run is writing to this thread."""

    def __init__(self, id: str) -> None:
        super().__init__(
            "threadId",
            "expected a thread that no other run is using",
            f"the thread {id!r} is in use by another run; wait for its end, or use another thread",
        )


class ThreadStoreError(RequestError):
    """The state directory cannot be used for threads; the message gives the reason."""

    def __init__(self, why: str) -> None:
        super().__init__("stateDir", why)


def check_id(id: object) -> str:
    """The id, checked. Raises RequestError."""
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise RequestError("threadId", f"expected 1 to 128 letters, digits, `.`, `_` or `-`, got {id!r:.80}")
    return id


def database(path: Path, locks: Path) -> sqlite3.Connection:
    """The database, created if it does not exist. Raises ThreadStoreError."""
    try:
        locks.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _exclusive(locks / ".database"):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            return _opened(path)
    except OSError as error:
        raise ThreadStoreError(
            f"{path.parent} must be a writable directory: {error.strerror or error}"
        ) from error
    except sqlite3.Error as error:
        raise ThreadStoreError(f"{path} cannot be used ({error}); if it is damaged, move it away") from error


def _opened(path: Path) -> sqlite3.Connection:
    # autocommit: transactions are started explicitly
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA:
            raise ThreadStoreError(
                f"{path} was written by a newer version (schema {version}, known is {SCHEMA})"
            )
        # a file system without shared memory keeps the older journal
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        # fails here, not at the first message, if the database cannot be written
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            if version == 0:
                for statement in _TABLES:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA}")
    except BaseException:
        connection.close()
        raise
    return connection


class Lock:
    """An exclusive lock on a thread. It is released when the process ends at the latest.

    Raises:
        ThreadBusy: another process or run holds it.
        ThreadStoreError: the lock file cannot be created.
    """

    def __init__(self, directory: Path, id: str) -> None:
        self._path = directory / f"{id}.lock"
        try:
            self._descriptor = self._acquire()
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise ThreadBusy(id) from error
            raise ThreadStoreError(f"{self._path} cannot be locked: {error.strerror}") from error

    def _acquire(self) -> int:
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(descriptor, self._path):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # its last holder has deleted the thread, and this file with it

    def release(self, *, forget: bool = False) -> None:
        """Release the lock; `forget` removes the file too. May be called more than once."""
        if self._descriptor < 0:
            return
        if forget:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = -1


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # held for the milliseconds that opening takes
        yield
    finally:
        os.close(descriptor)
