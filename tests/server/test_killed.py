"""Runs are known again after the server was killed, and have a result after they were killed themselves."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from agent_runtime.server.run_files import RunFiles, RunRecord
from agent_runtime.server.store import IdempotencyStore, digest
from agent_runtime.testing.model_server import Turn
from tests.server.conftest import Serve
from tests.server.test_runs import frames, waiting
from tests.support.waiting import until

Json = dict[str, Any]


def test_runs_outlive_the_server_and_subscribers_go_on(serve: Serve) -> None:
    served = serve([waiting(), Turn(text="done")])
    body = {"prompt": "go", "runId": "r1"}
    headers = {"idempotency-key": "k1"}
    with served.client() as client, client.stream("POST", "/v1/run", json=body, headers=headers) as response:
        seen: list[int] = []
        for line in response.iter_lines():
            if line.startswith("id: "):
                seen.append(int(line[4:]))
            if '"tool_call"' in line:
                break
        until((served.workspace / "started").exists)
        served.kill()
    again = serve(None, model=served.model)
    (served.workspace / "go").touch()
    with again.client() as client:
        rest = frames(client.get(f"/v1/runs/r1/events?after={seen[-1]}").text)
        assert [int(id) for id, _, _ in rest] == list(range(seen[-1] + 1, seen[-1] + 1 + len(rest)))
        assert rest[-1][2]["output"] == "done"
        replayed = client.post("/v1/run", json={**body, "stream": False}, headers={"idempotency-key": "k2"})
        assert replayed.status_code == 409  # another request for a run id that is taken
        same = frames(client.post("/v1/run", json=body, headers=headers).text)
        assert same[-1][2]["output"] == "done"
        assert len(served.model.requests) == 2  # no run was executed twice
        other = client.post("/v1/run", json={**body, "prompt": "else"}, headers=headers)
        assert other.status_code == 422


def test_a_run_that_is_killed_before_its_first_event_has_failed(serve: Serve) -> None:
    served = serve([])
    files = RunFiles(served.state / "runs" / "r1")
    files.folder.mkdir(parents=True)
    files.events.touch()
    files.write_record(
        RunRecord("r1", "t1", "a", "2026-01-01T00:00:00.000Z", server=2**22 + 1, server_started=1)
    )
    body = {"prompt": "go", "runId": "r1", "stream": False}
    store = IdempotencyStore(served.state / "api.sqlite3")
    store.claim("k1", digest(body), "r1")
    store.close()
    with served.client() as client:
        response = client.post("/v1/run", json=body, headers={"idempotency-key": "k1"})
    assert response.status_code == 200
    assert (response.json()["data"]["status"], response.json()["data"]["error"]["retryable"]) == (
        "failed",
        True,
    )


def test_a_run_whose_process_was_killed_gets_its_last_events_once(serve: Serve) -> None:
    served = serve([waiting("never")])
    with ThreadPoolExecutor() as pool, served.client() as client:
        answer = pool.submit(client.post, "/v1/run", json={"prompt": "go", "runId": "r1", "stream": False})
        until((served.workspace / "started").exists)
        os.kill(served.pid("r1"), signal.SIGKILL)
        data = answer.result().json()["data"]
        assert (data["status"], data["error"]["code"], data["error"]["retryable"]) == (
            "failed",
            "internal_error",
            True,
        )
        events = [data for _, _, data in frames(client.get("/v1/runs/r1/events").text)]
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events].count("complete") == 1


def test_a_killed_run_that_nobody_follows_has_failed(serve: Serve) -> None:
    edited = Turn(calls=[("bash", {"command": "echo hi > out.txt"})])
    served = serve([edited, waiting("never")])
    with served.client() as client:
        with client.stream("POST", "/v1/run", json={"prompt": "go", "runId": "r1"}):
            until(lambda: served.files("r1").events.read_text().count('"type":"tool_call"') == 2)
        pid = served.pid("r1")
        served.kill()
        os.killpg(pid, signal.SIGKILL)
    with serve(None, model=served.model).client() as client:
        assert [run["status"] for run in client.get("/v1/runs?status=failed").json()["data"]] == ["failed"]
        data = client.get("/v1/runs/r1").json()["data"]
    assert (data["status"], data["files"], data["iterations"]) == (
        "failed",
        [str(served.workspace / "out.txt")],
        2,
    )
    assert data["usage"]["totalTokens"] > 0


def test_a_killed_run_gets_its_end_without_being_asked_for(serve: Serve) -> None:
    served = serve([waiting("never")])
    with served.client() as client, client.stream("POST", "/v1/run", json={"prompt": "go", "runId": "r1"}):
        until((served.workspace / "started").exists)
    pid = served.pid("r1")
    served.kill()
    os.killpg(pid, signal.SIGKILL)
    serve(None, model=served.model)
    until(served.files("r1").is_complete)
