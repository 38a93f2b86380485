"""The test kit, as somebody uses it who launches the runtime."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import Turn
from agent_runtime.testing.plugin import MakeServer, Replay
from agent_runtime.testing.runtime import COMMAND
from agent_runtime.testing.scripted import run_scripted

SCRIPT = [Turn(calls=[("bash", {"command": "echo hi > out.txt"})]), Turn(text="done")]


def test_run_scripted_returns_the_events_of_a_run(tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    workspace.mkdir()
    done = run_scripted(
        SCRIPT, workspace, options=("--state-dir", str(tmp_path / "state")), metadata={"a": 1}
    )
    assert (done.code, done.complete["output"], done.complete["metadata"]) == (0, "done", {"a": 1})
    assert (workspace / "out.txt").read_text() == "hi\n"
    assert [request.format for request in done.requests] == ["anthropic", "anthropic"]


def test_a_script_that_is_too_short_fails_the_test(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the script has no more turns"):
        run_scripted(SCRIPT[:1], tmp_path, options=("--state-dir", str(tmp_path / "state")))


def test_the_pytest_fixtures_run_and_replay(model_server: MakeServer, replay: Replay, tmp_path: Path) -> None:
    server = model_server(SCRIPT)
    for name in ("live", "again"):
        (tmp_path / name).mkdir()
    subprocess.run(
        [
            *COMMAND,
            "run",
            "--prompt",
            "go",
            "--workspace",
            tmp_path / "live",
            "--record",
            tmp_path / "t.ndjson",
        ],
        env=os.environ | server.environ("anthropic") | {"XDG_STATE_HOME": str(tmp_path / "state")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    assert replay(tmp_path / "t.ndjson").complete["output"] == "done"
    replay(tmp_path / "t.ndjson", tmp_path / "again")
    assert (tmp_path / "again" / "out.txt").read_text() == "hi\n"
    (tmp_path / "again" / "out.txt").write_text("another\n")
    with pytest.raises(AssertionError, match="the replay diverges from the recording"):
        replay(tmp_path / "t.ndjson", tmp_path / "again")
