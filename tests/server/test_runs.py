"""Runs over HTTP: started, followed, read again and controlled."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agent_runtime.testing.model_server import Turn
from agent_runtime.testing.runtime import check
from tests.server.conftest import Serve, Served, servers
from tests.support.waiting import until

Json = dict[str, Any]
SCRIPT = [Turn(text="I look.", calls=[("bash", {"command": "echo hi > out.txt"})]), Turn(text="done")]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for the tests that need nothing but an answer of the model."""
    with servers(tmp_path_factory.mktemp("served")) as serve:
        yield serve([Turn(text="done")], repeat_last=True)


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
def test_the_json_answer_has_the_fields_of_both_api_versions(path: str, body: Json, served: Served) -> None:
    with served.client() as client:
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
def test_a_bad_request_names_its_field(body: bytes, status: int, field: str, served: Served) -> None:
    with served.client() as client:
        response = client.post("/v1/run", content=body)
        assert response.status_code == status, response.text
        error = response.json()["error"]
        assert (error["code"], error["field"]) == ("invalid_request", field)
        assert error["requestId"] == response.headers["x-request-id"]
        problem = client.post("/v1/run", content=body, headers={"accept": "application/problem+json"})
    assert problem.headers["content-type"] == "application/problem+json"
    assert (problem.json()["status"], problem.json()["field"]) == (status, field)


def test_a_large_body_is_refused_before_it_is_read(served: Served) -> None:
    command = ["curl", "-sS", "-H", f"content-length: {1 << 40}", "-d", "x", f"{served.url}/v1/run"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
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
        served.until_read("r1", "and this")
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


def test_long_inputs_sent_at_once_arrive_whole(serve: Serve) -> None:
    served = serve([waiting(), Turn(text="done")])
    texts = [f"{letter * 150_000}." for letter in "abcd"]  # more than a pipe holds
    with ThreadPoolExecutor() as pool, served.client() as client:
        answer = pool.submit(client.post, "/v1/run", json={"prompt": "go", "runId": "r1", "stream": False})
        until((served.workspace / "started").exists)
        sent = pool.map(lambda text: client.post("/v1/runs/r1/input", json={"text": text}).status_code, texts)
        assert list(sent) == [200] * 4
        for text in texts:
            served.until_read("r1", text)
        (served.workspace / "go").touch()
        assert answer.result().json()["data"]["status"] == "completed"
    request = json.dumps(served.model.bodies[-1])
    assert all(text in request for text in texts)


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


def test_concurrent_streams_are_complete(served: Served) -> None:
    def stream(number: int) -> list[Json]:
        with served.client() as client:
            return [data for _, _, data in frames(client.post("/v1/run", json={"prompt": f"p{number}"}).text)]

    with ThreadPoolExecutor(8) as pool:
        for events in pool.map(stream, range(16)):
            check(events, 0)


def test_a_run_for_a_device_is_registered(served: Served) -> None:
    with served.client() as client:
        body = {"prompt": "x", "executionMode": "local-mac", "targetDeviceId": "d1"}
        data = client.post("/v1/run", json=body).json()["data"]
    assert (data["status"], data["targetDeviceId"]) == ("registered", "d1") and data["runId"].startswith(
        "run_"
    )


def test_a_managed_run_has_no_tools_that_touch_files(served: Served) -> None:
    with served.client() as client:
        body = {"prompt": "x", "executionMode": "managed", "stream": True}
        start = frames(client.post("/v1/run", json=body).text)[0][2]
    assert start["tools"] == ["web_search"] and start["executionMode"] == "managed"
