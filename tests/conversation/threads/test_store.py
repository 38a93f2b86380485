"""Threads: stored message by message, for one writer at a time, listed, resumed, forked and forgotten."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_runtime.conversation.threads.store import ThreadBusy, ThreadStore, ThreadStoreError
from agent_runtime.errors import RequestError
from agent_runtime.protocol.messages import Message, ToolCall
from tests.conversation.messages import call, model, native, picture, result, user

TURN = model("hm", call(), native=native({"type": "thinking", "thinking": "ü\u2028", "signature": "s"}))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ThreadStore]:
    made = ThreadStore(tmp_path / "state")
    yield made
    made.close()


def begin(store: ThreadStore, id: str, *messages: Message, agent: str = "a") -> None:
    thread = store.open(id, agent=agent)
    assert all(thread.append(message) for message in messages)
    thread.close()


def test_a_thread_is_resumed_as_it_was(store: ThreadStore, tmp_path: Path) -> None:
    messages: list[Message] = [user("Fix  the\nbug", picture()), TURN, user(result(text="nul \0 \U0001f600"))]
    begin(store, "t", *messages)
    other = ThreadStore(tmp_path / "state")
    thread = other.open("t", agent="a")
    assert thread.messages == messages
    thread.append(model("done"))
    thread.close()
    info = store.get("t")
    assert info is not None
    assert (info.id, info.agent, info.title, info.messages) == ("t", "a", "Fix the bug", 4)
    assert info.created <= info.updated
    assert store.messages("t") == [*messages, model("done")]
    other.close()


def test_a_thread_without_messages_does_not_exist(store: ThreadStore) -> None:
    store.open("t", agent="a").close()
    assert (store.get("t"), store.messages("t"), store.list().threads) == (None, [], [])


def test_text_that_json_cannot_represent_is_stored_with_replacements(store: ThreadStore) -> None:
    deep: dict[str, object] = {}
    for _ in range(5_000):
        deep = {"a": deep}
    bad = ToolCall(id="c", name="n", arguments="{...", input=deep)
    lone = native({"type": "text", "text": "\ud83d"})
    begin(store, "t", model(bad), model("x", native=lone))
    assert store.messages("t") == [model(bad.model_copy(update={"input": None})), model("x", native=lone)]


def test_a_second_writer_is_refused_until_the_first_is_gone(store: ThreadStore, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from agent_runtime.conversation.threads.store import ThreadStore;"
        "t = ThreadStore(Path(sys.argv[1])).open('t', agent='a'); print('open', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "state")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(ThreadBusy, match="in use by another run"):
            store.open("t", agent="a")
        with pytest.raises(ThreadBusy):
            store.delete("t")
        store.open("other", agent="a").close()
        holder.kill()
    store.open("t", agent="a").close()


def test_a_second_writer_in_the_same_process_is_refused(store: ThreadStore) -> None:
    first = store.open("t", agent="a")
    with pytest.raises(ThreadBusy):
        store.open("t", agent="a")
    first.close()
    first.close()
    store.open("t", agent="a").close()


def test_threads_are_listed_page_by_page_the_last_used_first(store: ThreadStore) -> None:
    for number in range(5):
        begin(store, f"t{number}", user(f"task {number}"), agent="ab"[number % 2])
    begin(store, "t1", user("more"))
    first = store.list(limit=2)
    assert [info.id for info in first.threads] == ["t1", "t4"]
    second = store.list(limit=2, cursor=first.cursor)
    third = store.list(limit=2, cursor=second.cursor)
    assert [info.id for info in second.threads + third.threads] == ["t3", "t2", "t0"]
    assert third.cursor is None
    assert [info.id for info in store.list(agent="b").threads] == ["t1", "t3"]
    for wrong in ("", "%%", "bm90IGpzb24", "WzEsMl0"):
        with pytest.raises(RequestError, match="cursor"):
            store.list(cursor=wrong)
    with pytest.raises(RequestError, match="limit"):
        store.list(limit=0)


def test_a_fork_is_independent(store: ThreadStore) -> None:
    begin(store, "t", user("task"), TURN)
    assert store.fork("t", "f").messages == 2
    begin(store, "f", user("other"))
    assert store.messages("f") == [user("task"), TURN, user("other")]
    assert store.messages("t") == [user("task"), TURN]
    with pytest.raises(RequestError, match="unknown thread 'x'"):
        store.fork("x", "y")
    with pytest.raises(RequestError, match="not in use"):
        store.fork("t", "f")


def test_a_deleted_thread_can_be_started_again(store: ThreadStore, tmp_path: Path) -> None:
    begin(store, "t", user("task"))
    assert store.delete("t")
    assert not store.delete("t")
    assert store.messages("t") == []
    assert not list((tmp_path / "state" / "threads.locks").glob("t.lock"))
    begin(store, "t", user("anew"))
    assert store.messages("t") == [user("anew")]


def test_a_shortened_history_takes_the_place_of_what_came_before(store: ThreadStore) -> None:
    thread = store.open("t", agent="a")
    for message in (user("task"), TURN, user(result())):
        thread.append(message)
    thread.replace([user("task", "summary"), TURN, user(result())])
    thread.append(model("done"))
    thread.close()
    assert store.messages("t") == [user("task", "summary"), TURN, user(result()), model("done")]
    assert store.record("t") == [user("task"), TURN, user(result()), model("done")]
    info = store.get("t")
    assert info is not None and info.messages == 4


@pytest.mark.parametrize("id", ["", "a/b", "../t", "a b", "x" * 129, "t\n", "ü"])
def test_a_thread_id_is_never_used_as_a_path(store: ThreadStore, id: str) -> None:
    for use in (lambda: store.open(id, agent="a"), lambda: store.get(id), lambda: store.delete(id)):
        with pytest.raises(RequestError) as refused:
            use()
        assert refused.value.field == "threadId"


@pytest.mark.parametrize("id", [".", "..", "-", "x" * 128])
def test_unusual_thread_ids_are_stored_safely(store: ThreadStore, id: str) -> None:
    begin(store, id, user("task"))
    assert store.messages(id) == [user("task")]


def test_a_directory_that_cannot_be_used_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ThreadStoreError, match="must be a writable directory") as refused:
        ThreadStore(tmp_path / "file" / "state")
    assert refused.value.field == "stateDir"
    (tmp_path / "threads.sqlite3").write_bytes(b"damaged" * 1000)
    with pytest.raises(ThreadStoreError, match="damaged"):
        ThreadStore(tmp_path)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "threads.sqlite3") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ThreadStoreError, match="newer version"):
        ThreadStore(tmp_path)


def test_a_failed_write_is_logged_and_repeated_with_the_next(
    store: ThreadStore, caplog: pytest.LogCaptureFixture
) -> None:
    thread = store.open("t", agent="a")
    store._connection.execute("PRAGMA query_only = ON")  # the effect of a full disk, without filling one
    with caplog.at_level(logging.WARNING):
        assert not thread.append(user("task"))
    assert "thread t: the threads cannot be written" in caplog.text
    store._connection.execute("PRAGMA query_only = OFF")
    assert thread.append(TURN)
    thread.close()
    assert store.messages("t") == [user("task"), TURN]


# Python 3.12 warns of forking beside the threads of a parallel test run; the children here touch none of them
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_concurrent_writers_lose_no_message(tmp_path: Path) -> None:
    children = []
    for number in range(4):
        if (child := os.fork()) == 0:
            try:  # all of them create the database and write to it at once
                begin(ThreadStore(tmp_path), f"t{number}", *[user(f"{number}.{n}") for n in range(20)])
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    store = ThreadStore(tmp_path)
    for number in range(4):
        assert store.messages(f"t{number}") == [user(f"{number}.{n}") for n in range(20)]
    store.close()
