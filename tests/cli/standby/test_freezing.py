"""`freeze` and `thaw` on the socket of a standby are for all of its runs."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

from agent_runtime.testing.model_server import ModelServer, Turn
from tests.cli.standby.conftest import Client, Running, asked
from tests.support.runs import bash
from tests.support.waiting import until

Event = dict[str, Any]
SCRIPT = bash("echo x >>steps; until [ -e ../go ]; do sleep 0.02; done")


def sent(standby: Running, **message: Any) -> Event:
    """The one line that answers a message."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(standby.path))
        connection.sendall(json.dumps(message).encode() + b"\n")
        line: Event = json.loads(connection.makefile().read())
    return line


def begun(standby: Running, server: ModelServer, folder: Path, run: str) -> Client:
    folder.mkdir()
    client = standby.run(asked(server, prompt="x", workspace=str(folder), runId=run))
    until((folder / "steps").exists)
    return client


def answers(request: Any) -> Turn:
    return Turn(text="done") if "tool_result" in str(request.body["messages"][-1]) else SCRIPT


def codes(events: list[Event]) -> list[str]:
    return [event["code"] for event in events if event.get("code") in ("frozen", "thawed")]


def test_all_runs_are_frozen_and_thawed(standby: Running, tmp_path: Path) -> None:
    with ModelServer([answers], repeat_last=True) as server:
        clients = [begun(standby, server, tmp_path / run, run) for run in ("run_a", "run_b")]
        frozen = sent(standby, action="freeze")
        late = standby.run(asked(server, prompt="x", workspace=str(tmp_path / "run_a"), runId="run_c"))
        late.until("notice", code="frozen")
        refused = sent(standby, action="thaw", runId="run_fork")
        requests = len(server.requests)
        (tmp_path / "go").touch()
        thawed = sent(standby, action="thaw")
        streams = [client.events() for client in (*clients, late)]
    assert frozen["code"] == "frozen"
    assert sorted(run["runId"] for run in frozen["details"]["runs"]) == ["run_a", "run_b"]
    assert requests == 2  # the run that began meanwhile makes none
    assert (refused["type"], refused["code"]) == ("error", "invalid_request")
    assert thawed["code"] == "thawed" and len(thawed["details"]["runs"]) == 3
    for events in streams:
        assert codes(events) == ["frozen", "thawed"] and events[-1]["status"] == "completed"
    for run in ("run_a", "run_b"):
        assert (tmp_path / run / "steps").read_text().startswith("x\n")


def test_a_thaw_renames_the_one_run_of_a_fork(standby: Running, tmp_path: Path) -> None:
    with ModelServer([answers], repeat_last=True) as server:
        client = begun(standby, server, tmp_path / "a", "run_a")
        sent(standby, action="freeze")
        (tmp_path / "go").touch()
        thawed = sent(standby, action="thaw", runId="run_fork", env={"A": "b"})
        events = client.events()
    assert [run["previousRunId"] for run in thawed["details"]["runs"]] == ["run_a"]
    assert (events[0]["runId"], events[-1]["runId"]) == ("run_a", "run_fork")


def test_signals_to_the_standby_are_for_all_runs(standby: Running, tmp_path: Path) -> None:
    with ModelServer([answers], repeat_last=True) as server:
        client = begun(standby, server, tmp_path / "a", "run_a")
        for number, code in ((signal.SIGUSR1, "frozen"), (signal.SIGUSR2, "thawed")):
            os.kill(standby.pid, number)
            client.until("notice", code=code)
        (tmp_path / "go").touch()
        events = client.events()
    assert codes(events) == ["frozen", "thawed"]


def test_a_standby_without_runs_answers_at_once(standby: Running) -> None:
    until(lambda: not standby.children())
    assert sent(standby, action="freeze")["details"] == {"runs": []}
    assert sent(standby, action="thaw")["code"] == "thawed"


def test_an_invalid_thaw_is_refused(standby: Running) -> None:
    client = standby.run({"action": "thaw", "env": [1]})
    lines = client.events(2)
    assert [line["type"] for line in lines] == ["error", "complete"]
    assert lines[0]["details"]["field"] == "env"
