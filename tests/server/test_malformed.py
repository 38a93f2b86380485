"""What is malformed is refused with a JSON error that says so, and never with 500."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from agent_runtime.testing.model_server import Turn
from tests.server.conftest import Serve, Served, servers
from tests.server.test_runs import frames, waiting


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


CURSORS = [
    *map(
        encoded,
        ["[1, 2]", '[null, "a"]', '[1e999, "a"]', '[NaN, "a"]', '["a"]', "[]", "{}", "null", "[[[]]]"],
    ),
    *map(
        encoded,
        ['["a", {"b": 1}]', "[" * 20_000, "[" * 20_000 + "]" * 20_000, '[true, "a"]', '["a", "b", "c"]'],
    ),
    "é",
    "A",
    "x" * 5000,
    "",
]
NUMBERS = ["", "x", "1.0", "1_0", " 5", "+5", "٣", "²", "1" * 5_000, "NaN", "-5"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with servers(tmp_path_factory.mktemp("served")) as serve:
        served = serve([Turn(text="done")], repeat_last=True)
        body = {"prompt": "x", "runId": "r1", "threadId": "t1", "stream": False}
        with served.client() as client:
            client.post("/v1/run", json=body).raise_for_status()
        yield served


def refused(response: httpx2.Response, status: int, field: str | None) -> None:
    assert response.status_code == status, (response.request, response.text)
    error = response.json()["error"]
    assert error.get("field") == field
    assert error["requestId"] == response.headers["x-request-id"]


def test_queries(served: Served) -> None:
    with served.client() as client:
        for path in ("/v1/runs", "/v1/run/threads"):
            for cursor in CURSORS:
                refused(client.get(path, params={"cursor": cursor}), 400, "cursor")
            for limit in [*NUMBERS, "0", "201"]:
                refused(client.get(path, params={"limit": limit}), 400, "limit")
        for port in [*NUMBERS, "0", "65536"]:
            refused(client.get("/v1/sandboxes/s1/url", params={"port": port}), 400, "port")
        for after in NUMBERS[1:]:
            refused(client.get("/v1/runs/r1/events", params={"after": after}), 400, "after")


def test_paths(served: Served) -> None:
    with served.client() as client:
        for name in ("%00", "%2e%2e", "%ff", "a" * 300, ".new-x", "%0a", "r1%20"):
            for path in (f"/v1/runs/{name}", f"/v1/runs/{name}/events", f"/v1/run/threads/{name}"):
                refused(client.get(path), 404, None)
        for path in ("/v1/runs/", "/v1/nothing", "/v1//runs", "/v1/sandboxes/a%2fb/url?port=1"):
            refused(client.get(path), 404, None)
        refused(client.get("/v1/sandboxes/evil.example%23/url?port=1"), 404, None)
        refused(client.put("/v1/run"), 405, None)
        refused(client.get("/v1/runs", headers={"origin": "http://[::1"}), 403, None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"prompt": "x", "runId": ".."}', "runId"),
        ('{"prompt": "x", "runId": "."}', "runId"),
        ('{"prompt": "x", "runId": ".new-1"}', "runId"),
        ('{"prompt": "x", "metadata": 1e999}', "request"),
        ('{"prompt": "x", "metadata": -1e400}', "request"),
        ('{"prompt": "x", "on_disconnect": "maybe"}', "onDisconnect"),
        ('{"prompt": "x", "executionMode": "managed", "tools": ["web_search", "bash"]}', "tools[1]"),
        (
            '{"prompt": "x", "executionMode": "managed", "mcpServers": {"a": {"command": "cat"}}}',
            "mcpServers.a",
        ),
        ('{"prompt": "x", "executionMode": "managed", "workspaceMcp": true}', "workspaceMcp"),
        ('{"prompt": "x", "executionMode": "managed", "mcpConfig": "mcp.json"}', "mcpConfig"),
        ('{"prompt": "x", "executionMode": "managed", "agent": "local"}', "agent"),
    ],
)
def test_bodies(body: str, field: str, served: Served) -> None:
    agents = served.workspace / ".agent-runtime" / "agents"
    agents.mkdir(parents=True, exist_ok=True)
    (agents / "local.md").write_text(
        '---\nname: local\nmcpServers: {"a": {"command": "cat"}}\n---\nYou work.\n'
    )
    with served.client() as client:
        refused(client.post("/v1/run", content=body), 400, field)


def test_a_trace_context_that_is_invalid_is_ignored(served: Served) -> None:
    for trace in ("x", "01-" + "a" * 32 + "-" + "b" * 16 + "-01", "00-" + "0" * 32 + "-" + "b" * 16 + "-01"):
        with served.client() as client:
            response = client.post("/v1/run", json={"prompt": "x"}, headers={"traceparent": trace})
        assert frames(response.text)[-1][2]["status"] == "completed"


def test_control_messages_by_websocket(serve: Serve) -> None:
    wrong = ["", "x", "[]", "[" * 50_000, '{"action": "nope"}', '{"action": {"a": 1}}', '{"action": "input"}']
    long = json.dumps({"action": "input", "text": "x" * (5 << 20)})
    served = serve([waiting(), Turn(text="done")])
    address = served.url.replace("http", "ws")
    with served.client() as client:
        with client.stream("POST", "/v1/run", json={"prompt": "x", "runId": "r2"}) as response:
            next(line for line in response.iter_lines() if '"tool_call"' in line)
        with connect(f"{address}/v1/run/code-assistant/stream/r2") as socket:
            for message in wrong:
                socket.send(message)
            socket.send(b"\0\xff")
            socket.send(long)
            socket.send(b'{"action": "input", "text": "one more thing"}')
            messages: list[dict[str, Any]] = []
            while len([m for m in messages if "error" in m]) < len(wrong) + 2:
                messages.append(json.loads(socket.recv(timeout=60)))
            served.until_read("r2", "one more thing")
            (served.workspace / "go").touch()
            messages += [json.loads(message) for message in socket]
    errors = [message["error"]["code"] for message in messages if "seq" not in message]
    assert errors == ["invalid_request"] * (len(wrong) + 1) + ["payload_too_large"]
    assert messages[-1]["status"] == "completed"
    assert "one more thing" in json.dumps(served.model.bodies[-1])
    for path in ("/v1/nothing", "/v1/run", "/v1/run/a/stream/nothing"):
        with pytest.raises(InvalidStatus) as caught:
            connect(address + path).close()
        assert caught.value.response.status_code == 404
        assert json.loads(caught.value.response.body or b"")["error"]["code"] == "not_found"
