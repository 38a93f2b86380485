"""The thread store: conversations that outlive their runs, in one SQLite database under the state directory.

Every message is appended in a transaction of its own that is on disk when it returns (write-ahead log, full sync): a
process killed at any moment leaves a thread that ends with a complete message. A turn is stored before its calls run; a
call without a result was interrupted, and the history that is built from the thread says so. One writer at a time holds
a lock on the thread, which is released when its process ends.

Layout: `threads.sqlite3` (`user_version` is the schema's), `threads.locks/ID.lock`. Everything here blocks.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agent_runtime.conversation.threads.database import Lock, ThreadBusy, ThreadStoreError, check_id, database
from agent_runtime.conversation.threads.listing import SELECT_INFO, ThreadInfo, ThreadPage, position
from agent_runtime.conversation.threads.rows import decode, encode, title_of
from agent_runtime.errors import RequestError
from agent_runtime.protocol.cursors import encode_cursor
from agent_runtime.protocol.messages import Message

log = logging.getLogger(__name__)


class ThreadStore:
    """All threads of a state directory. Create it after a fork, not before.

    Raises:
        ThreadStoreError: the directory cannot be used (read-only, full, damaged, written by a newer version).
    """

    def __init__(self, state_dir: Path) -> None:
        self._locks = state_dir / "threads.locks"
        self._connection = database(state_dir / "threads.sqlite3", self._locks)
        self._one_at_a_time = threading.Lock()

    def open(self, id: str, *, agent: str) -> Thread:
        """The thread of that id, existing or new; close it after use. Raises RequestError, ThreadBusy."""
        lock = Lock(self._locks, check_id(id))
        try:
            return Thread(self, lock, id, agent, self.messages(id))
        except BaseException:
            lock.release()
            raise

    def get(self, id: str) -> ThreadInfo | None:
        """The thread's entry in a listing; None when it does not exist. Raises RequestError, ThreadStoreError."""
        with self._reading():
            row = self._connection.execute(f"{SELECT_INFO} WHERE id = ?", (check_id(id),)).fetchone()
        return ThreadInfo(*row) if row else None

    def messages(self, id: str) -> list[Message]:
        """The messages for the model: the last compacted history and what came after it. Raises ThreadStoreError."""
        with self._reading():
            rows = self._connection.execute(
                "SELECT body FROM entries WHERE thread = ?1 AND number >= coalesce("
                "(SELECT max(number) FROM entries WHERE thread = ?1 AND shortened), 0) ORDER BY number",
                (check_id(id),),
            ).fetchall()
        return [message for (body,) in rows for message in decode(id, body)]

    def record(self, id: str) -> list[Message]:
        """Every message of a thread, also those that were compacted. Raises RequestError, ThreadStoreError."""
        with self._reading():
            rows = self._connection.execute(
                "SELECT body FROM entries WHERE thread = ? AND NOT shortened ORDER BY number", (check_id(id),)
            ).fetchall()
        return [message for (body,) in rows for message in decode(id, body)]

    def list(self, *, agent: str | None = None, limit: int = 20, cursor: str | None = None) -> ThreadPage:
        """Threads, the most recently used first.

        Args:
            agent: only those of this agent.
            limit: the most threads on a page, 1 to 200.
            cursor: of the previous page.

        Raises:
            RequestError: naming `limit` or `cursor`.
        """
        if not 1 <= limit <= 200:
            raise RequestError("limit", f"expected a number from 1 to 200, got {limit}")
        updated, id = position(cursor)
        with self._reading():
            rows = self._connection.execute(
                f"{SELECT_INFO} WHERE (?1 IS NULL OR agent = ?1) AND (?2 IS NULL OR (updated, id) < (?2, ?3)) "
                "ORDER BY updated DESC, id DESC LIMIT ?4",
                (agent, updated, id, limit + 1),
            ).fetchall()
        threads = [ThreadInfo(*row) for row in rows]
        last = threads[limit - 1] if len(threads) > limit else None
        return ThreadPage(threads[:limit], encode_cursor((last.updated, last.id)) if last else None)

    def fork(self, id: str, new: str, *, at: int | None = None) -> ThreadInfo:
        """Copy a thread under a new id.

        Args:
            id: the thread.
            new: the id of the copy.
            at: the last turn that is copied, from 1; all turns when it is None.

        Raises:
            RequestError: the thread does not exist, the new id is in use, or there is no such turn.
        """
        end = None if at is None else self._end_of_turn(id, at)
        check_id(new)
        with self._writing() as connection:
            now = time.time()
            try:
                copied = connection.execute(
                    "INSERT INTO threads SELECT ?, agent, title, ?, ?, messages FROM threads WHERE id = ?",
                    (new, now, now, check_id(id)),
                )
            except sqlite3.IntegrityError as error:
                raise RequestError("threadId", f"expected an id that is not in use: {new!r}") from error
            if not copied.rowcount:
                raise RequestError("threadId", f"unknown thread {id!r}")
            connection.execute(
                "INSERT INTO entries SELECT ?1, number, shortened, body FROM entries "
                "WHERE thread = ?2 AND (?3 IS NULL OR number <= ?3)",
                (new, id, end),
            )
            connection.execute(
                "UPDATE threads SET messages = "
                "(SELECT count(*) FROM entries WHERE thread = ?1 AND NOT shortened) WHERE id = ?1",
                (new,),
            )
            row = connection.execute(f"{SELECT_INFO} WHERE id = ?", (new,)).fetchone()
        return ThreadInfo(*row)

    def _end_of_turn(self, id: str, turn: int) -> int:
        """The number of the last entry of a turn: that of its tool results, or of its answer. Raises RequestError."""
        with self._reading():
            rows = self._connection.execute(
                "SELECT number, body FROM entries WHERE thread = ? AND NOT shortened ORDER BY number",
                (check_id(id),),
            ).fetchall()
        numbered = [(number, message) for number, body in rows for message in decode(id, body)]
        answers = [place for place, (_, message) in enumerate(numbered) if message.role == "assistant"]
        if not 1 <= turn <= len(answers):
            raise RequestError("at", f"expected a turn from 1 to {len(answers)}, got {turn}")
        place = answers[turn - 1]
        after = numbered[place + 1][1] if place + 1 < len(numbered) else None
        results = after is not None and any(block.type == "tool_result" for block in after.blocks)
        return int(numbered[place + results][0])

    def delete(self, id: str) -> bool:
        """Delete a thread; False when it does not exist. Raises ThreadBusy while a run uses it."""
        lock = Lock(self._locks, check_id(id))
        try:
            with self._writing() as connection:
                connection.execute("DELETE FROM entries WHERE thread = ?", (id,))
                found = connection.execute("DELETE FROM threads WHERE id = ?", (id,)).rowcount > 0
        finally:
            lock.release(forget=True)
        return found

    def close(self) -> None:
        """Close the database. What was appended is on disk already."""
        self._connection.close()

    def append(self, id: str, agent: str, messages: Sequence[Message], *, shortened: bool = False) -> None:
        """Append for the holder of the thread's lock; on disk when it returns. Raises ThreadStoreError."""
        now = time.time()
        # one row is one message; a compacted history is one row, so that it is stored completely or not at all
        bodies = [encode(messages)] if shortened else [encode([message]) for message in messages]
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO threads VALUES (?1, ?2, ?3, ?4, ?4, 0) ON CONFLICT DO NOTHING",
                (id, agent, title_of(messages), now),
            )
            connection.executemany(
                "INSERT INTO entries SELECT ?1, coalesce(max(number), -1) + 1, ?2, ?3 "
                "FROM entries WHERE thread = ?1",
                [(id, shortened, body) for body in bodies],
            )
            connection.execute(
                "UPDATE threads SET updated = max(?, updated), messages = messages + ? WHERE id = ?",
                (now, 0 if shortened else len(bodies), id),
            )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with self._one_at_a_time:
                yield
        except sqlite3.Error as error:
            raise ThreadStoreError(f"the threads cannot be read: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._one_at_a_time:
                self._connection.execute("BEGIN IMMEDIATE")
                with self._connection:  # commits, or rolls back
                    yield self._connection
        except sqlite3.Error as error:
            raise ThreadStoreError(f"the threads cannot be written: {error}") from error


class Thread:
    """A thread that this process may write to, until it is closed.

    Args:
        store: where it is stored.
        lock: held by this process.
        id: checked.
        agent: of its first run.
        messages: those that were stored when it was opened.
    """

    def __init__(self, store: ThreadStore, lock: Lock, id: str, agent: str, messages: list[Message]) -> None:
        self.id = id
        self.agent = agent
        self.messages = messages
        self._store = store
        self._lock = lock
        self._unsaved: list[Message] = []

    def append(self, message: Message) -> bool:
        """Store a message; False when that fails, which is logged. The next one tries again, in order."""
        self._unsaved.append(message)
        return self._save(self._unsaved, shortened=False)

    def replace(self, messages: Sequence[Message]) -> bool:
        """The model continues with these messages. The older ones stay on disk."""
        return self._save(messages, shortened=True)

    def close(self) -> None:
        """Release the lock."""
        self._lock.release()

    def _save(self, messages: Sequence[Message], *, shortened: bool) -> bool:
        try:
            self._store.append(self.id, self.agent, messages, shortened=shortened)
        except ThreadStoreError as error:
            log.warning("thread %s: %s", self.id, error.problem)
            return False
        self._unsaved = []
        return True


__all__ = ["Thread", "ThreadBusy", "ThreadInfo", "ThreadPage", "ThreadStore", "ThreadStoreError"]
