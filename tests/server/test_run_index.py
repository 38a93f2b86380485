"""The list of the runs, for those who ask again and again."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_runtime.server.run_files import RunFiles, RunRecord
from agent_runtime.server.run_index import RunIndex
from agent_runtime.system.processes import Process


def add(folder: Path, name: str) -> None:
    own = Process.own()
    (folder / name).mkdir(parents=True)
    files = RunFiles(folder / name)
    files.events.touch()
    files.write_record(RunRecord(name, "t", "a", name, own.pid, own.start, pid=own.pid, started=own.start))


def test_recent_rows_are_listed_once_within_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("agent_runtime.server.run_index.time.monotonic", lambda: now)
    index = RunIndex(tmp_path)
    add(tmp_path, "r1")
    assert [row.record.run_id for row in index.recent_rows(0.5)] == ["r1"]
    add(tmp_path, "r2")
    now += 0.4
    assert len(index.recent_rows(0.5)) == 1 and len(index.rows()) == 2
    now += 0.2
    assert [row.record.run_id for row in index.recent_rows(0.5)] == ["r2", "r1"]
