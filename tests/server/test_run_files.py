"""What a server knows of a run that another server has started, and perhaps was killed while doing so."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import threading
from pathlib import Path

import pytest

from agent_runtime.server.run_files import RunFiles, RunRecord
from agent_runtime.server.store import IdempotencyStore
from agent_runtime.system.processes import Process
from agent_runtime.testing.runtime import COMMAND

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


def test_the_last_events_are_known_when_they_cannot_be_written(files: RunFiles) -> None:
    start = '{"type":"start","seq":0,"ts":"2026-01-01T00:00:00.000Z","runId":"r1"}\n'
    files.events.write_text(start + '{"type":"thi')
    files.write_record(record(**GONE))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # like a full disk, except for the number of the error
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(start) + 5, hard))
    try:
        outcome = files.outcome(record(**GONE))
        assert outcome and (outcome["type"], outcome["seq"], outcome["status"]) == ("complete", 2, "failed")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert files.events.read_text() == start
    assert files.outcome(record(**GONE)) and files.events.read_text().count('"complete"') == 1


def test_the_pid_is_stored_without_a_new_file(files: RunFiles) -> None:
    files.write_record(record(**GONE))
    (files.folder / "process.json.new").mkdir()  # cannot be created, as on a full disk
    files.add_pid(record(**GONE, pid=123, started=4567))
    assert files.record() == record(**GONE, pid=123, started=4567)


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


@pytest.mark.parametrize("name", ["api.sqlite3", "threads.sqlite3"])
def test_a_server_does_not_start_with_a_damaged_database(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"not a database" * 500)
    command = [*COMMAND, "serve", "--port", "0", "--no-standby", "--state-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert name in done.stderr and "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 1
