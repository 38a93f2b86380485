"""Runs that the standby of a server forks, and what happens when it ends."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent_runtime.server.launch import Launcher, Streams
from agent_runtime.system.processes import Process
from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.runtime import Json, environment, result
from tests.support.waiting import until

Start = Callable[[str], tuple[int, Path]]


@pytest.fixture
def model() -> Iterator[ModelServer]:
    server = ModelServer([Turn(text="done")], repeat_last=True).start()
    yield server
    server.close()


@pytest.fixture
def launcher(model: ModelServer, tmp_path: Path) -> Iterator[Launcher]:
    made = Launcher(environment(model.environ("anthropic"), tmp_path / "xdg"))
    made.warm_up()
    yield made
    made.close()
    for child in made._children:
        child.wait(60)


def launch(launcher: Launcher, folder: Path, **fields: object) -> tuple[int, Path]:
    """The pid of a run, and the file of its events."""
    folder.mkdir()
    workspace = folder / "workspace"
    workspace.mkdir()
    os.mkfifo(folder / "control")
    stdin = os.open(folder / "control", os.O_RDWR)
    request = json.dumps({"prompt": "go", "workspace": str(workspace), **fields}).encode()
    with (folder / "events").open("wb") as out, (folder / "log").open("wb") as log:
        pid = launcher.launch(request, Streams(stdin, out.fileno(), log.fileno()))
    os.close(stdin)
    return pid, folder / "events"


def ended(events: Path) -> list[Json]:
    """The events of a run that has ended; they are checked."""
    until(lambda: re.search(rb'"type":"complete".*\n', events.read_bytes()))
    return result(events.read_bytes(), 0, b"").events


def parent(pid: int) -> str:
    process = Process.of(pid)
    row = Process.of(process.ppid) if process else None
    return row.command if row else ""


def warmed(launcher: Launcher) -> None:
    standby = launcher._standby
    assert standby
    until(standby.ready)


def test_a_warm_run_is_forked_and_writes_to_its_files(launcher: Launcher, tmp_path: Path) -> None:
    warmed(launcher)
    long = "x" * 400_000  # more than a socket holds
    pid, events = launch(launcher, tmp_path / "r1", prompt=long, runId="r1")
    assert ended(events)[-1]["output"] == "done"
    assert pid != os.getpid()


def test_a_bad_request_is_reported_in_the_stream(launcher: Launcher, tmp_path: Path) -> None:
    warmed(launcher)
    _, events = launch(launcher, tmp_path / "r1", prompt="x", config={"maxTurns": -1})
    until(lambda: events.read_bytes().endswith(b"\n"))
    error = json.loads(events.read_bytes().splitlines()[0])
    assert (error["type"], error["code"]) == ("error", "invalid_request")


def test_runs_are_started_from_scratch_until_the_standby_is_ready(launcher: Launcher, tmp_path: Path) -> None:
    _, events = launch(launcher, tmp_path / "r1")
    assert ended(events)[-1]["output"] == "done"


def test_a_standby_that_was_killed_is_replaced(launcher: Launcher, tmp_path: Path) -> None:
    warmed(launcher)
    before = launcher._standby
    assert before
    before._process.kill()
    before._process.wait()
    assert ended(launch(launcher, tmp_path / "r1")[1])[-1]["output"] == "done"
    assert launcher._standby is not before
    warmed(launcher)
    assert ended(launch(launcher, tmp_path / "r2")[1])[-1]["output"] == "done"


def test_runs_go_on_when_server_and_standby_end(
    launcher: Launcher, model: ModelServer, tmp_path: Path
) -> None:
    warmed(launcher)
    wait = "touch started; until [ -e go ]; do sleep 0.02; done"
    model.script[:0] = [Turn(calls=[("bash", {"command": wait})])]
    pid, events = launch(launcher, tmp_path / "r1")
    until((tmp_path / "r1" / "workspace" / "started").exists)
    assert parent(pid) == "agent-runtime standby"
    standby = launcher._standby
    assert standby
    standby._process.send_signal(signal.SIGTERM)
    launcher.close()
    (tmp_path / "r1" / "workspace" / "go").touch()
    assert ended(events)[-1]["output"] == "done"


def test_many_runs_are_started_at_once(launcher: Launcher, tmp_path: Path) -> None:
    warmed(launcher)
    with ThreadPoolExecutor(16) as pool:
        started = list(pool.map(lambda number: launch(launcher, tmp_path / f"r{number}"), range(16)))
    assert len({pid for pid, _ in started}) == 16
    for _, events in started:
        assert ended(events)[-1]["output"] == "done"
