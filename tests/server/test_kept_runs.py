"""Runs that no server has started, and events that are no longer kept."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.engine.retention import is_held
from agent_runtime.engine.run_folder import hold
from agent_runtime.testing.model_server import Turn
from agent_runtime.testing.runtime import COMMAND, environment
from tests.server.conftest import Serve, Served
from tests.server.test_runs import frames
from tests.support.waiting import until

Json = dict[str, Any]
SCRIPT = [Turn(calls=[("bash", {"command": "echo hi > out.txt"})]), Turn(text="done")]


@pytest.fixture
def served(serve: Serve, tmp_path: Path) -> Iterator[Served]:
    """A server on the state directory of a run of the command line, `cli1`."""
    served = serve(SCRIPT)
    request = {"prompt": "say hi", "runId": "cli1", "threadId": "t1", "sandboxId": "s1"}
    done = subprocess.run(
        [
            *COMMAND,
            "run",
            "--partial",
            "--workspace",
            str(served.workspace),
            "--state-dir",
            str(served.state),
        ],
        input=json.dumps(request).encode(),
        capture_output=True,
        env=environment(served.model.environ("anthropic"), tmp_path / "xdg"),
        check=True,
        timeout=60,
    )
    (tmp_path / "stdout").write_bytes(done.stdout)
    yield served


def test_a_run_of_the_command_line_is_known(served: Served, tmp_path: Path) -> None:
    written = [json.loads(line) for line in (tmp_path / "stdout").read_bytes().splitlines()]
    with served.client() as client:
        (row,) = client.get("/v1/runs").json()["data"]
        assert (row["runId"], row["status"], row["threadId"], row["prompt"]) == (
            "cli1",
            "completed",
            "t1",
            "say hi",
        )
        assert client.get("/v1/runs/cli1").json()["data"]["output"] == "done"
        assert [event for _, _, event in frames(client.get("/v1/runs/cli1/events").text)] == written
        after = frames(client.get("/v1/runs/cli1/events?after=3").text)
        assert [event for _, _, event in after] == written[4:]
        assert client.get("/v1/run/threads/t1").json()["data"]["runs"] == ["cli1"]
        assert "say hi" in client.get("/v1/runs/cli1/report").text
        refused = client.post("/v1/runs/cli1/cancel")
        assert (refused.status_code, refused.json()["error"]["message"]) == (409, "the run has ended")


def test_a_run_of_the_command_line_is_followed_until_its_process_ends(served: Served) -> None:
    folder = served.state / "runs" / "cli2"
    folder.mkdir()
    source = (
        (served.state / "runs" / "cli1" / "transcript.ndjson")
        .read_text()
        .replace("cli1", "cli2")
        .splitlines()
    )
    calls = next(number for number, line in enumerate(source) if '"type":"tool_call"' in line) + 1
    transcript = folder / "transcript.ndjson"
    transcript.write_text("\n".join(source[:calls]) + "\n")
    descriptor = hold(folder)  # as a run writes it
    try:
        with served.client() as client:
            assert client.get("/v1/runs/cli2").json()["data"]["status"] == "running"
            refused = client.post("/v1/runs/cli2/pause")
            assert (
                refused.status_code == 409
                and "no server has started it" in refused.json()["error"]["message"]
            )
            with client.stream("GET", "/v1/runs/cli2/events") as response:
                lines = response.iter_lines()
                next(line for line in lines if '"type":"tool_call"' in line)
                with transcript.open("a") as file:
                    file.write(
                        source[calls]
                        + "\n"
                        + source[calls + 1]
                        + '\n{"kind":"event","at":1,"event":{"type":"thi'
                    )
                os.close(descriptor)  # it is killed
                descriptor = -1
                rest = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
            assert [event["type"] for event in rest[-2:]] == ["error", "complete"]
            assert rest[-1]["status"] == "failed"
            events = [event for _, _, event in frames(client.get("/v1/runs/cli2/events").text)]
            assert [event["seq"] for event in events] == list(range(len(events)))
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    assert not (folder / "events.ndjson").exists()  # nothing was written


def test_what_was_removed_has_expired(served: Served) -> None:
    state = ["--state-dir", str(served.state)]
    with served.client() as client:
        body = {"prompt": "x", "runId": "r1", "stream": False}
        served.model.script.append(Turn(text="again"))
        headers = {"idempotency-key": "k1"}
        assert client.post("/v1/run", json=body, headers=headers).status_code == 200
        last = client.get("/v1/runs/r1").json()["data"]
        assert last["status"] == "completed"
        until(lambda: not is_held(served.files("r1").folder))  # its process goes on after the last event
        subprocess.run(
            [*COMMAND, "clean", "--older-than", "0s", *state], check=True, capture_output=True, timeout=60
        )
        for run in ("r1", "cli1"):
            expired = client.get(f"/v1/runs/{run}/events?after=2")
            assert (expired.status_code, expired.json()["error"]["code"]) == (410, "cursor_expired")
            assert expired.json()["error"]["oldest"] is None
        assert client.get("/v1/runs/other/events?after=2").status_code == 404
        # no run is executed twice
        assert client.post("/v1/run", json=body, headers=headers).status_code == 410


def test_events_before_the_oldest_have_expired(served: Served, tmp_path: Path) -> None:
    with served.client() as client:
        served.model.script.append(Turn(text="again"))
        client.post("/v1/run", json={"prompt": "x", "runId": "r1", "stream": False})
        path = served.state / "runs" / "r1" / "events.ndjson"
        lines = path.read_bytes().splitlines(keepends=True)
        (tmp_path / "rest").write_bytes(b"".join(lines[2:]))
        # in one step: the server looks after runs whose last event is missing
        (tmp_path / "rest").rename(path)
        for after in (0, "0"):
            expired = client.get(f"/v1/runs/r1/events?after={after}")
            assert (expired.status_code, expired.json()["error"]["oldest"]) == (410, 2)
        assert frames(client.get("/v1/runs/r1/events?after=1").text)[0][0] == "2"


def test_a_client_that_has_everything_gets_no_stream(served: Served) -> None:
    with served.client() as client:
        last = frames(client.get("/v1/runs/cli1/events").text)[-1][0]
        for number in (last, str(int(last) + 5)):
            assert client.get("/v1/runs/cli1/events", headers={"last-event-id": number}).status_code == 204
