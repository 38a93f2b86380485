"""Clients that leave: the run is cancelled when the request that started it asks for that, and only then."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from agent_runtime.testing.model_server import Turn
from tests.server.conftest import Serve, Served
from tests.server.test_runs import frames, waiting
from tests.support.waiting import until


def send_and_leave(served: Served, body: dict[str, Any], *, when: str) -> None:
    """Start a run by a connection that is closed at once, or when the command of the run is running."""
    data = json.dumps(body).encode()
    address = urlsplit(served.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        head = f"POST /v1/run HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-length: {len(data)}\r\n\r\n"
        connection.sendall(head.encode() + data)
        if when == "running":
            until((served.workspace / "started").exists)


@pytest.mark.parametrize("when", ["at once", "running"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_may_cancel_its_run(stream: bool, when: str, serve: Serve) -> None:
    served = serve([waiting("never")])
    send_and_leave(
        served, {"prompt": "x", "runId": "r1", "stream": stream, "onDisconnect": "cancel"}, when=when
    )
    with served.client() as client:
        until(lambda: client.get("/v1/runs/r1").status_code == 200)
        last = frames(client.get("/v1/runs/r1/events").text)[-1][2]
    assert last["status"] == "cancelled"


@pytest.mark.parametrize("stream", [True, False])
def test_a_run_goes_on_by_default(stream: bool, serve: Serve) -> None:
    served = serve([waiting(), Turn(text="done")])
    send_and_leave(served, {"prompt": "x", "runId": "r1", "stream": stream}, when="running")
    (served.workspace / "go").touch()
    with served.client() as client:
        assert frames(client.get("/v1/runs/r1/events").text)[-1][2]["status"] == "completed"


def test_another_subscriber_that_leaves_cancels_nothing(serve: Serve) -> None:
    served = serve([waiting(), Turn(text="done")])
    body = {"prompt": "x", "runId": "r1", "stream": False, "onDisconnect": "cancel"}
    with ThreadPoolExecutor() as pool, served.client() as client:
        answer = pool.submit(client.post, "/v1/run", json=body)
        until((served.workspace / "started").exists)
        with client.stream("GET", "/v1/runs/r1/events") as response:
            next(response.iter_lines())
        (served.workspace / "go").touch()
        assert answer.result().json()["data"]["status"] == "completed"
