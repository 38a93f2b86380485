"""Freezing and thawing runs over HTTP, by WebSocket and with the client; a fork of a snapshot has another id."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.sync.client import connect

from agent_runtime.client import Client
from agent_runtime.client.stream_state import Event
from agent_runtime.errors import RequestError
from agent_runtime.server.control import message_of
from agent_runtime.testing.model_server import Turn
from tests.server.conftest import Serve
from tests.server.test_runs import waiting


def has_code(event: Event, code: str) -> bool:
    return event.type == "notice" and getattr(event, "code", None) == code


def test_a_run_is_frozen_and_goes_on_with_another_id(serve: Serve) -> None:
    served = serve([waiting(), Turn(text="done")])
    address = f"{served.url.replace('http', 'ws')}/v1/run/code-assistant/stream/fork"
    with Client(served.url) as client, client.run({"prompt": "go", "runId": "r1"}) as run:
        next(event for event in run if event.type == "tool_call")
        run.freeze()
        assert next(event for event in run if has_code(event, "frozen"))
        run.thaw(new_run_id="fork", sandbox_id="s2", env={"WHO": "fork"})
        thawed = next(event for event in run if has_code(event, "thawed"))
        assert thawed.run_id == "fork"
        with connect(address) as socket:  # from the first event on, under either id
            assert json.loads(socket.recv(timeout=30))["runId"] == "r1"
            socket.send(json.dumps({"action": "freeze"}))
            assert next(event for event in run if has_code(event, "frozen")).run_id == "fork"
            socket.send(json.dumps({"action": "thaw"}))
            assert next(event for event in run if has_code(event, "thawed")).run_id == "fork"
        (served.workspace / "go").touch()
        assert list(run)[-1].type == "complete"
        for run_id in ("r1", "fork"):
            assert client.get_run(run_id)["id"] == "fork"
        assert [row["runId"] for row in client.runs()] == ["r1"]
    with served.client() as http:
        taken = http.post("/v1/run", json={"prompt": "go", "runId": "fork"})
        assert (taken.status_code, taken.json()["error"]["code"]) == (409, "conflict")


def test_the_id_of_another_run_is_not_taken(serve: Serve) -> None:
    served = serve([Turn(text="done"), waiting(), Turn(text="done")])
    with served.client() as http:
        http.post("/v1/run", json={"prompt": "x", "runId": "first", "stream": False}).raise_for_status()
        with http.stream("POST", "/v1/run", json={"prompt": "x", "runId": "second"}) as response:
            lines = response.iter_lines()
            next(line for line in lines if '"tool_call"' in line)
            refused = http.post("/v1/runs/second/thaw", json={"runId": "first"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
            assert http.post("/v1/runs/second/thaw", json={"runId": "second"}).status_code == 200
            (served.workspace / "go").touch()
            assert '"status":"completed"' in list(lines)[-2]
        assert http.get("/v1/runs/first").json()["data"]["runId"] == "first"


@pytest.mark.parametrize(
    ("action", "fields", "wrong"),
    [
        ("pause", {"before": "model"}, "before"),
        ("input", {}, "text"),
        ("input", {"text": " "}, "text"),
        ("answer", {"text": "x"}, "id"),
        ("answer", {"id": ["q"], "text": "x"}, "id"),
        ("thaw", {"runId": ".."}, "runId"),
        ("thaw", {"run_id": ".new-1"}, "runId"),
        ("thaw", {"runId": "a/b"}, "runId"),
        ("thaw", {"sandboxId": 1}, "sandboxId"),
        ("thaw", {"env": {"A B": "x"}}, "env"),
        ("thaw", {"env": {"A": "\0"}}, "env"),
        ("thaw", {"env": []}, "env"),
    ],
)
def test_fields_of_control_messages_are_checked_before_they_are_sent(
    action: str, fields: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(RequestError) as refused:
        message_of(action, fields)
    assert refused.value.field == wrong


def test_only_the_fields_of_the_action_are_sent() -> None:
    fields = {"text": "x", "id": "q1", "before": "tool", "env": {"A": "b"}, "action": "cancel"}
    assert message_of("input", fields) == {"action": "input", "text": "x"}
    assert message_of("pause", fields) == {"action": "pause", "before": "tool"}
    assert message_of("cancel", fields) == {"action": "cancel"}
