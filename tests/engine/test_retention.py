"""The files of old runs are removed; those of live runs, and those that servers write to, never."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from agent_runtime.engine.retention import clean, clean_now_and_then, was_removed
from agent_runtime.engine.run_folder import hold, remove_empty
from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.runtime import COMMAND, environment, run

DAY = 86_400


def folder(state: Path, name: str, *, days: float, size: int = 100) -> Path:
    path = state / "runs" / name
    (path / "logs").mkdir(parents=True)
    (path / "logs" / "x.log").write_bytes(b"x" * size)
    when = time.time() - days * DAY
    for each in (path / "logs" / "x.log", path / "logs", path):
        os.utime(each, (when, when))
    return path


def left(state: Path) -> set[str]:
    return {path.name for path in (state / "runs").iterdir() if path.is_dir()}


def test_runs_older_than_the_limit_are_removed(tmp_path: Path) -> None:
    folder(tmp_path, "old", days=31)
    folder(tmp_path, "new", days=29)
    assert [each.path.name for each in clean(tmp_path, dry_run=True)] == ["old"]
    assert left(tmp_path) == {"old", "new"}
    assert [each.path.name for each in clean(tmp_path)] == ["old"]
    assert left(tmp_path) == {"new"}


def test_the_oldest_runs_are_removed_until_the_size_limit_is_met(tmp_path: Path) -> None:
    for number in range(5):
        folder(tmp_path, f"r{number}", days=5 - number, size=1 << 20)
    clean(tmp_path, max_size=(2 << 20) + (1 << 19))
    assert left(tmp_path) == {"r3", "r4"}


def test_the_ids_of_thawed_runs_go_with_their_folders(tmp_path: Path) -> None:
    folder(tmp_path, "old", days=31)
    folder(tmp_path, "new", days=29)
    for id, run_id in (("fork", "old"), ("again", "old"), ("kept", "new")):
        (tmp_path / "runs" / id).symlink_to(run_id)
    clean(tmp_path)
    assert {path.name for path in (tmp_path / "runs").iterdir() if path.is_symlink()} == {"kept"}
    assert [was_removed(tmp_path, name) for name in ("old", "fork", "again", "kept")] == [
        True,
        True,
        True,
        False,
    ]


def test_active_runs_and_open_logs_are_kept(tmp_path: Path) -> None:
    live = folder(tmp_path, "live", days=99)
    logged = folder(tmp_path, "logged", days=99)
    folder(tmp_path, "over", days=99)
    fd = hold(live)
    with (logged / "logs" / "x.log").open("ab"):
        assert [each.path.name for each in clean(tmp_path)] == ["over"]
    os.close(fd)
    clean(tmp_path)
    assert left(tmp_path) == set()


def test_the_start_of_a_run_cleans_at_most_once_an_hour(tmp_path: Path) -> None:
    folder(tmp_path, "old", days=31)
    clean_now_and_then(tmp_path)
    assert left(tmp_path) == set()
    folder(tmp_path, "old", days=31)
    clean_now_and_then(tmp_path)
    assert left(tmp_path) == {"old"}


def test_only_empty_run_folders_are_removed(tmp_path: Path) -> None:
    (tmp_path / "a" / "output").mkdir(parents=True)
    (tmp_path / "b" / "output").mkdir(parents=True)
    (tmp_path / "b" / "output" / "1").touch()
    remove_empty(tmp_path / "a")
    remove_empty(tmp_path / "b")
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "b" / "output" / "1").exists()


def test_a_run_leaves_no_empty_folder_and_cleans_up(tmp_path: Path) -> None:
    workspace, state = tmp_path / "workspace", tmp_path / "workspace.state" / "agent-runtime"
    workspace.mkdir()
    folder(state, "old", days=31)
    with ModelServer([Turn(calls=[("bash", {"command": "echo hi"})]), Turn(text="done")]) as server:
        assert run({"prompt": "go", "noRecord": True}, workspace, server.environ("anthropic")).code == 0
    assert left(state) == set()


@pytest.mark.parametrize(
    ("options", "says"),
    [(["--older-than", "soon"], "such as 30d; got 'soon'"), (["--max-size", "x"], "such as 2G; got 'x'")],
)
def test_a_limit_that_cannot_be_read_is_named(options: list[str], says: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "clean", *options],
        capture_output=True,
        text=True,
        env=environment({}, tmp_path),
        check=False,
    )
    assert done.returncode == 2
    assert says in done.stderr


def test_the_clean_command_lists_what_it_removes(tmp_path: Path) -> None:
    folder(tmp_path, "old", days=3)
    command = [*COMMAND, "clean", "--older-than", "2d", "--state-dir", str(tmp_path)]
    dry = subprocess.run([*command, "--dry-run"], capture_output=True, text=True, check=True)
    assert dry.stdout.splitlines()[-1].endswith("would be removed")
    assert left(tmp_path) == {"old"}
    subprocess.run(command, capture_output=True, check=True)
    assert left(tmp_path) == set()
