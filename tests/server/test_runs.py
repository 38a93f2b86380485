"""Runs over HTTP: started, followed, controlled, and known again after the server was killed."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.server.run_files import RunFiles, RunRecord
from agent_runtime.server.store import IdempotencyStore, digest
from agent_runtime.testing.model_server import Turn
from agent_runtime.testing.runtime import COMMAND, check, environment
from tests.server.conftest import Serve, Served
from tests.support.waiting import until

Json = dict[str, Any]
SCRIPT = [Turn(text="I look.", calls=[("bash", {"command": "echo hi > out.txt"})]), Turn(text="done")]


def frames(text: str) -> list[tuple[str, str, Json]]:
    """The frames of a stream: id, event, data; as the documented client reads them, split at blank lines."""
    found = []
    for frame in text.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in frame.splitlines() if ": " in line and not line.startswith(":")
        )
        if "data" in fields:
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return found


def waiting(marker: str = "go") -> Turn:
    """A turn whose command runs until the file of that name is there, or `started` is gone: the fixture removes it."""
    loop = f"touch started; until [ -e {marker} -o ! -e started ]; do sleep 0.05; done; echo on"
    return Turn(calls=[("bash", {"command": loop})])


def test_a_stream_has_every_event_with_its_seq_as_id(serve: Serve) -> None:
    served = serve(SCRIPT)
    with served.client() as client:
        response = client.post("/v1/run", json={"prompt": "go", "metadata": {"a": 1}})
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    events = frames(response.text)
    assert [int(id) for id, _, _ in events] == list(range(len(events)))
    assert all(event == data["type"] for _, event, data in events)
    check([data for _, _, data in events], 0)
    assert events[-1][2]["output"] == "done"
    assert response.headers["x-run-id"] == events[0][2]["runId"]
    assert response.headers["x-thread-id"] == events[-1][2]["threadId"]
    assert (served.workspace / "out.txt").read_text() == "hi\n"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/run", {"agent": "code-assistant", "prompt": "x", "stream": False}),
        ("/v1/run/code-assistant", {"message": "x"}),
        ("/v1/agents/code-assistant/run", {"message": "x", "stream": False}),
    ],
)
def test_the_json_answer_has_the_fields_of_both_api_versions(path: str, body: Json, serve: Serve) -> None:
    with serve([Turn(text="done")]).client() as client:
        response = client.post(path, json=body, headers={"x-request-id": "req-mine"})
    assert response.status_code == 200, response.text
    data, meta = response.json()["data"], response.json()["meta"]
    assert meta["requestId"] == response.headers["x-request-id"] == "req-mine"
    assert (data["status"], data["output"], data["result"]) == ("completed", "done", "done")
    assert data["id"] == data["runId"] == response.headers["x-run-id"]
    assert data["executionMode"] == "in_sandbox"
    assert {"promptTokens", "completionTokens", "inputTokens", "outputTokens", "totalTokens"} <= data[
        "usage"
    ].keys()
    assert {
        "sandboxId",
        "threadId",
        "rolloutId",
        "targetDeviceId",
        "devUrl",
        "files",
        "iterations",
    } - data.keys() <= {"targetDeviceId"}


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{", 400, "request"),
        (b"[]", 400, "request"),
        (b"{}", 400, "prompt"),
        (b'{"prompt": "x", "config": {"maxTurns": 0}}', 400, "config.maxTurns"),
        (b'{"prompt": "x", "agent": "nobody"}', 400, "agent"),
        (b'{"prompt": "x", "onDisconnect": "maybe"}', 400, "onDisconnect"),
    ],
)
def test_a_bad_request_names_its_field(body: bytes, status: int, field: str, serve: Serve) -> None:
    with serve([]).client() as client:
        response = client.post("/v1/run", content=body)
        assert response.status_code == status, response.text
        error = response.json()["error"]
        assert (error["code"], error["field"]) == ("invalid_request", field)
        assert error["requestId"] == response.headers["x-request-id"]
        problem = client.post("/v1/run", content=body, headers={"accept": "application/problem+json"})
    assert problem.headers["content-type"] == "application/problem+json"
    assert (problem.json()["status"], problem.json()["field"]) == (status, field)


def test_a_large_body_is_refused_before_it_is_read(serve: Serve) -> None:
    served = serve([])
    command = ["curl", "-sS", "-H", f"content-length: {1 << 40}", "-d", "x", f"{served.url}/v1/run"]
    done = subprocess.run(command, capture_output=True, timeout=20, check=False)
    assert json.loads(done.stdout)["error"]["code"] == "payload_too_large"


def test_control_messages_reach_the_run(serve: Serve) -> None:
    served = serve([waiting(), Turn(text="done")])
    with ThreadPoolExecutor() as pool, served.client() as client:
        answer = pool.submit(client.post, "/v1/run", json={"prompt": "go", "runId": "r1", "stream": False})
        until((served.workspace / "started").exists)
        assert client.get("/v1/runs/r1").json()["data"]["status"] == "running"
        for action in ("pause", "resume"):
            assert client.post(f"/v1/runs/r1/{action}").status_code == 200
        assert client.post("/v1/runs/r1/input", json={"text": ""}).status_code == 400
        assert client.post("/v1/runs/r1/input", json={"text": "and this"}).status_code == 200
        (served.workspace / "go").touch()
        assert answer.result().json()["data"]["status"] == "completed"
        assert client.post("/v1/runs/r1/cancel").status_code == 409
        assert client.get("/v1/runs/r1").json()["data"]["output"] == "done"
        assert client.get("/v1/runs/none").status_code == 404
    assert "and this" in json.dumps(served.model.bodies[-1])


def test_cancel_ends_the_run(serve: Serve) -> None:
    served = serve([waiting("never")])
    with ThreadPoolExecutor() as pool, served.client() as client:
        answer = pool.submit(client.post, "/v1/run", json={"prompt": "go", "runId": "r1", "stream": False})
        until((served.workspace / "started").exists)
        assert client.post("/v1/runs/r1/cancel").status_code == 200
        assert answer.result().json()["data"]["status"] == "cancelled"


def test_events_are_read_again_from_any_place(serve: Serve) -> None:
    with serve(SCRIPT).client() as client:
        whole = frames(client.post("/v1/run", json={"prompt": "go", "runId": "r1"}).text)
        for after in (-1, 0, 3, len(whole) - 2):
            by_query = frames(client.get(f"/v1/runs/r1/events?after={after}").text)
            by_header = frames(client.get("/v1/runs/r1/events", headers={"last-event-id": str(after)}).text)
            assert by_query == by_header == whole[after + 1 :]
        assert frames(client.get("/v1/runs/r1/events").text) == whole
        assert client.get("/v1/runs/r1/events?after=x").status_code == 400


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
        assert len(served.model.requests) == 2  # nothing has run twice
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
        record = json.loads((served.state / "runs" / "r1" / "process.json").read_text())
        os.kill(record["pid"], 9)
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
            until((served.workspace / "started").exists)
        record = json.loads((served.state / "runs" / "r1" / "process.json").read_text())
        served.kill()
        os.killpg(record["pid"], 9)
    with serve(None, model=served.model).client() as client:
        assert [run["status"] for run in client.get("/v1/runs?status=failed").json()["data"]] == ["failed"]
        data = client.get("/v1/runs/r1").json()["data"]
    assert (data["status"], data["files"], data["iterations"]) == (
        "failed",
        [str(served.workspace / "out.txt")],
        2,
    )
    assert data["usage"]["totalTokens"] > 0


def test_long_inputs_sent_at_once_arrive_whole(serve: Serve) -> None:
    served = serve([waiting(), Turn(text="done")])
    texts = [f"{letter * 150_000}." for letter in "abcd"]  # more than a pipe holds
    with ThreadPoolExecutor() as pool, served.client() as client:
        answer = pool.submit(client.post, "/v1/run", json={"prompt": "go", "runId": "r1", "stream": False})
        until((served.workspace / "started").exists)
        sent = pool.map(lambda text: client.post("/v1/runs/r1/input", json={"text": text}).status_code, texts)
        assert list(sent) == [200] * 4
        (served.workspace / "go").touch()
        assert answer.result().json()["data"]["status"] == "completed"
    request = json.dumps(served.model.bodies[-1])
    assert all(text in request for text in texts)


def test_tools_cannot_read_the_keys_of_the_server(serve: Serve) -> None:
    served = serve([], "--api-key", "rt_live_mine")
    look = (  # at the server, and at every process from the tool up to the first
        f'pids={served.process.pid}; pid=$$; while [ $pid -gt 0 ]; do pids="$pids $pid";'
        " pid=$(awk '/^PPid/ {print $2}' /proc/$pid/status); done;"
        " for pid in $pids; do cat /proc/$pid/environ /proc/$pid/cmdline; done 2>/dev/null | tr '\\0' '\\n' > seen.txt"
    )
    served.model.script[:] = [Turn(calls=[("bash", {"command": look})]), Turn(text="done")]
    with served.client() as client:
        assert client.get("/v1/agents").status_code == 401
        headers = {"x-api-key": "rt_live_mine"}
        done = client.post("/v1/run", json={"prompt": "go", "stream": False}, headers=headers)
    assert done.json()["data"]["status"] == "completed"
    seen = (served.workspace / "seen.txt").read_text(errors="replace")
    secrets = [value for name, value in served.model.environ("anthropic").items() if name.endswith("_KEY")]
    assert secrets and "agent-runtime serve" in seen
    assert not [value for value in [*secrets, "rt_live_mine"] if value in seen]


def test_a_client_that_leaves_may_cancel_its_run(serve: Serve) -> None:
    served = serve([waiting("never")])
    body = {"prompt": "go", "runId": "r1", "onDisconnect": "cancel"}
    with served.client() as client:
        with client.stream("POST", "/v1/run", json=body) as response:
            for line in response.iter_lines():
                if '"tool_call"' in line:
                    break
        last = frames(client.get("/v1/runs/r1/events").text)[-1][2]
    assert last["status"] == "cancelled"


def test_concurrent_streams_are_complete(serve: Serve) -> None:
    served = serve([Turn(text="done")], repeat_last=True)

    def stream(number: int) -> list[Json]:
        with served.client() as client:
            return [data for _, _, data in frames(client.post("/v1/run", json={"prompt": f"p{number}"}).text)]

    with ThreadPoolExecutor(8) as pool:
        for events in pool.map(stream, range(16)):
            check(events, 0)


def test_listening_on_another_address_requires_a_key(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "serve", "--host", "0.0.0.0", "--port", "0"],
        capture_output=True,
        text=True,
        env=environment({}, tmp_path),
        check=False,
    )
    assert done.returncode == 2 and "--api-key" in done.stderr


def keyed(serve: Serve, *keys: str) -> Served:
    options = [option for key in keys for option in ("--api-key", key)]
    return serve([Turn(text="done")], *options, repeat_last=True)


def test_keys_have_scopes_and_rate_limits(serve: Serve) -> None:
    served = keyed(serve, "rt_live_one:free", "rt_live_two")
    with served.client() as client:
        assert client.get("/v1/agents").status_code == 401
        assert client.get("/v1/agents", headers={"x-api-key": "rt_live_none"}).status_code == 401
        assert client.get("/healthz").status_code == 200
        for header in ({"authorization": "Bearer rt_live_two"}, {"x-api-key": "rt_live_two"}):
            response = client.get("/v1/agents", headers=header)
            assert response.status_code == 200 and response.headers["x-ratelimit-limit"] == "1000"
        with ThreadPoolExecutor(8) as pool:
            statuses = list(
                pool.map(
                    lambda _: client.get("/v1/agents", headers={"x-api-key": "rt_live_one"}).status_code,
                    range(80),
                )
            )
        assert (statuses.count(200), statuses.count(429)) == (60, 20)
        limited = client.get("/v1/agents", headers={"x-api-key": "rt_live_one"})
    assert limited.headers["x-ratelimit-remaining"] == "0" and int(limited.headers["retry-after"]) >= 1


def test_requests_of_other_origins_are_refused(serve: Serve) -> None:
    with serve([]).client() as client:
        assert client.get("/v1/agents", headers={"origin": "https://evil.example"}).status_code == 403
        assert client.get("/v1/agents", headers={"host": "evil.example"}).status_code == 403
        assert client.get("/v1/agents", headers={"origin": str(client.base_url)}).status_code == 200


def test_a_run_for_a_device_is_registered(serve: Serve) -> None:
    with serve([]).client() as client:
        body = {"prompt": "x", "executionMode": "local-mac", "targetDeviceId": "d1"}
        data = client.post("/v1/run", json=body).json()["data"]
    assert (data["status"], data["targetDeviceId"]) == ("registered", "d1") and data["runId"].startswith(
        "run_"
    )


def test_a_managed_run_has_no_tools_that_touch_files(serve: Serve) -> None:
    with serve([Turn(text="done")]).client() as client:
        body = {"prompt": "x", "executionMode": "managed", "stream": True}
        start = frames(client.post("/v1/run", json=body).text)[0][2]
    assert start["tools"] == ["web_search"] and start["executionMode"] == "managed"
