"""What a server knows of a run that another server has started, and perhaps was killed while doing so."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from agent_runtime.server.run_files import RunFiles, RunRecord
from agent_runtime.server.store import IdempotencyStore
from agent_runtime.system.processes import Process

GONE = {"server": 2**22 + 1, "server_started": 1}  # above the largest pid


@pytest.fixture
def files(tmp_path: Path) -> RunFiles:
    made = RunFiles(tmp_path)
    os.mkfifo(made.control)
    made.events.touch()
    return made


def record(**fields: int) -> RunRecord:
    common = {"run_id": "r1", "thread_id": "t1", "agent": "a", "created": "2026-01-01T00:00:00.000Z"}
    return RunRecord(**common, **fields)  # type: ignore[arg-type]


def test_a_run_that_is_being_started_is_alive(files: RunFiles) -> None:
    own = Process.own()
    assert files.outcome(record(server=own.pid, server_started=own.start)) is None
    assert files.events.read_bytes() == b""


def test_a_run_that_was_never_started_has_failed(files: RunFiles) -> None:
    outcome = files.outcome(record(**GONE))
    assert outcome and outcome["status"] == "failed" and outcome["error"]["retryable"]


def test_a_run_whose_server_was_killed_is_alive_while_it_reads_control_messages(files: RunFiles) -> None:
    stdin = os.open(files.control, os.O_RDWR)
    assert files.outcome(record(**GONE)) is None
    os.close(stdin)
    assert files.outcome(record(**GONE)) is not None


def test_a_pid_that_was_given_to_another_process_is_not_the_run(files: RunFiles) -> None:
    own = Process.own()
    assert files.outcome(record(**GONE, pid=own.pid, started=own.start)) is None
    assert files.outcome(record(**GONE, pid=own.pid, started=own.start - 1)) is not None


def test_half_a_line_is_removed_and_the_last_events_are_written_once(files: RunFiles) -> None:
    files.events.write_text(
        '{"type":"start","seq":0,"ts":"2026-01-01T00:00:00.000Z","runId":"r1"}\n{"type":"thi'
    )
    threads = [threading.Thread(target=files.outcome, args=(record(**GONE),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = [json.loads(line) for line in files.events.read_text().splitlines()]
    assert [(event["type"], event["seq"]) for event in events] == [
        ("start", 0),
        ("error", 1),
        ("complete", 2),
    ]


def test_a_record_is_read_back(files: RunFiles) -> None:
    written = record(**GONE, pid=3, started=4)
    files.write_record(written)
    assert files.record() == written


def test_a_key_is_bound_to_one_run_and_may_be_taken_from_an_abandoned_one(tmp_path: Path) -> None:
    store = IdempotencyStore(tmp_path / "api.sqlite3")
    first, second = store.claim("k", "d", "r1"), store.claim("k", "d", "r2")
    assert (first.is_new, second.is_new, second.run_id) == (True, False, "r1")
    assert (second.server, second.server_started) == (os.getpid(), Process.own().start)
    assert not store.claim("k", "d", "r3", abandoned="other").is_new
    taken = store.claim("k", "d", "r3", abandoned="r1")
    assert (taken.is_new, taken.run_id) == (True, "r3")
    store.release("k", "other")
    assert not store.claim("k", "d", "r4").is_new
    store.release("k", "r3")
    assert store.claim("k", "e", "r4").is_new
    store.close()
