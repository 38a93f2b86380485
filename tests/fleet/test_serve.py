"""`agent-runtime serve --nats`: runs on other machines look the same from outside, on every server."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent_runtime.fleet.names import Queue
from tests.fleet.conftest import Fleet, tool_then_done
from tests.support.waiting import until

pytestmark = pytest.mark.long

Json = dict[str, Any]
WAIT = 'echo x >> "$NAME"; until [ -e go ]; do sleep 0.05; done'


def post(client: httpx2.Client, key: str = "", **body: Any) -> httpx2.Response:
    headers = {"idempotency-key": key} if key else {}
    return client.post("/v1/run", json={"prompt": "x", "stream": False} | body, headers=headers)


def get(client: httpx2.Client, run_id: str) -> Json:
    data: Json = client.get(f"/v1/runs/{run_id}").json()["data"]
    return data


def status(client: httpx2.Client, run_id: str) -> str:
    return str(get(client, run_id)["status"])


def stream(client: httpx2.Client, path: str) -> list[Json]:
    """The events of an SSE stream that ends."""
    with client.stream("GET", path) as response:
        lines = [line for line in response.iter_lines() if line.startswith("data: ")]
    return [json.loads(line[6:]) for line in lines]


def local_mac(client: httpx2.Client, run_id: str, device: str = "mac", **body: Any) -> Json:
    fields = {"executionMode": "local-mac", "targetDeviceId": device, "runId": run_id}
    data: Json = post(client, **fields, **body).json()["data"]
    return data


def test_a_run_of_the_pool_is_seen_by_every_server(fleet: Fleet) -> None:
    fleet.model.script[:] = [tool_then_done('echo x >> "$NAME"')]
    first_process, first = fleet.serve("--dispatch", "pool")
    _, second = fleet.serve("--dispatch", "pool")
    fleet.runner()
    bodies: Json = {"runId": "r1", "env": {"NAME": "r1"}, "metadata": {"a": 1}}
    done = post(first, **bodies).json()["data"]
    assert (done["status"], done["metadata"], fleet.acted("r1")) == ("completed", {"a": 1}, "x\n")
    first_process.kill()
    events = stream(second, "/v1/runs/r1/events")
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert events[0]["type"] == "start" and events[-1]["type"] == "complete"
    assert stream(second, "/v1/runs/r1/events?after=2") == events[3:]
    assert get(second, "r1")["status"] == "completed"
    [row] = second.get("/v1/runs").json()["data"]
    assert (row["runId"], row["status"], row["queue"]) == ("r1", "completed", "pool")
    assert "echo x" in second.get("/v1/runs/r1/report", headers={"accept": "text/html"}).text
    assert post(second, **bodies).status_code == 409
    assert second.get("/v1/runs/other").status_code == 404


def test_an_idempotency_key_holds_between_servers(fleet: Fleet) -> None:
    fleet.model.script[:] = [tool_then_done('echo x >> "$NAME"')]
    _, first = fleet.serve("--dispatch", "pool")
    _, second = fleet.serve("--dispatch", "pool")
    fleet.runner()
    body = {"env": {"NAME": "k"}}
    one = post(first, "key 1", **body)
    two = post(second, "key 1", **body)
    assert one.json()["data"]["runId"] == two.json()["data"]["runId"] and fleet.acted("k") == "x\n"
    assert post(second, "key 1", prompt="other").status_code == 422


@pytest.mark.timed
def test_control_arrives_within_100_ms_and_a_queued_run_can_be_cancelled(fleet: Fleet) -> None:
    fleet.model.script[:] = [tool_then_done(WAIT)]
    _, client = fleet.serve("--dispatch", "pool")
    with client.stream("POST", "/v1/run", json={"prompt": "x", "runId": "queued"}) as response:
        assert response.headers["x-run-id"] == "queued"
        assert status(client, "queued") == "queued"
        refused = client.post("/v1/runs/queued/input", json={"text": "x"})
        assert (refused.status_code, "queued" in refused.text) == (409, True)
        assert client.post("/v1/runs/queued/cancel").status_code == 200
        response.read()
    assert status(client, "queued") == "cancelled"
    fleet.runner()
    with client.stream(
        "POST", "/v1/run", json={"prompt": "x", "runId": "r", "env": {"NAME": "r"}}
    ) as response:
        until(lambda: fleet.acted("r") != "")
        took = []
        for number in range(5):
            began = time.monotonic()
            assert client.post("/v1/runs/r/input", json={"text": f"i{number}"}).status_code == 200
            took.append(time.monotonic() - began)
        assert sorted(took)[2] < 0.1, took
        assert client.post("/v1/runs/r/cancel").status_code == 200
        response.read()
    assert status(client, "r") == "cancelled"
    assert client.post("/v1/runs/r/cancel").status_code == 409
    fleet.nats.until_acknowledged()


def test_a_run_for_a_device_waits_until_the_device_is_there(fleet: Fleet) -> None:
    fleet.model.script[:] = [tool_then_done(WAIT)]
    _, client = fleet.serve()
    registered = local_mac(client, "one", env={"NAME": "one"})
    assert (registered["status"], registered["targetDeviceId"]) == ("registered", "mac")
    local_mac(client, "two", env={"NAME": "two"})
    local_mac(client, "other", "elsewhere", env={"NAME": "other"})
    assert client.post("/v1/runs/two/cancel").status_code == 200
    assert (status(client, "one"), status(client, "two")) == ("registered", "cancelled")
    device = fleet.runner(queue="device:mac")
    until(lambda: status(client, "one") == "dispatched")
    until(lambda: fleet.acted("one") != "")
    device.terminate()  # the device is switched off; its run may end
    (fleet.workspace / "go").touch()
    assert device.wait(60) == 0
    assert status(client, "one") == "completed"
    local_mac(client, "three", env={"NAME": "three"})
    fleet.runner(queue="device:mac")
    until(lambda: status(client, "three") == "completed")
    assert (fleet.acted("two"), fleet.acted("other"), status(client, "other")) == ("", "", "registered")
    missing = post(client, executionMode="local-mac")
    assert (missing.status_code, missing.json()["error"]["field"]) == (400, "targetDeviceId")


USERS = """
authorization {
  users: [
    { user: "server", password: "s" }
    %s
  ]
}
"""


def device_user() -> str:
    """The user of a device, as the documentation has it."""
    text = (Path(__file__).parents[2] / "docs" / "many-machines.md").read_text()
    start = text.index('{ user: "mac"')
    return text[start : text.index("```", start)].replace('"..."', '"m"')


def test_a_device_sees_its_own_subjects_only_and_can_be_revoked(fleet: Fleet) -> None:
    fleet.model.script[:] = [tool_then_done(WAIT)]
    fleet.nats.kill()
    fleet.nats.configure(USERS % device_user())
    fleet.nats.start()
    at = fleet.nats.url.replace("nats://", "")
    fleet.nats.url = f"nats://server:s@{at}"
    fleet.nats.ask(lambda connection: connection.set_up_queue(Queue.parse("device:mac"), 5))
    _, client = fleet.serve()
    local_mac(client, "one", env={"NAME": "one"})
    denied = fleet.runner(queue="device:other", url=f"nats://mac:m@{at}")
    assert denied.wait(60) == 2, fleet.log(denied)
    device = fleet.runner(queue="device:mac", url=f"nats://mac:m@{at}")
    until(lambda: fleet.acted("one") != "")
    assert client.post("/v1/runs/one/input", json={"text": "x"}).status_code == 200
    fleet.nats.reload(USERS % "")
    assert device.wait(60) == 1, fleet.log(device)
    assert status(client, "one") == "dispatched"
    until(lambda: status(client, "one") == "failed")
    assert get(client, "one")["error"]["retryable"] is True and fleet.acted("one") == "x\n"


def test_a_nats_server_of_its_own_is_kept_alive_and_found_again(fleet: Fleet) -> None:
    fleet.model.script[:] = [tool_then_done('echo x >> "$NAME"')]
    server, client = fleet.serve("--dispatch", "pool", nats="auto")
    state = fleet.folder / "state" / "nats"
    assert (state / "url").stat().st_mode & 0o77 == 0
    fleet.runner(url="auto")
    assert post(client, runId="r1", env={"NAME": "r1"}).json()["data"]["status"] == "completed"
    before = (state / "url").read_text()
    server.kill()
    server.wait()
    _, client = fleet.serve("--dispatch", "pool", nats="auto")
    assert (state / "url").read_text() == before
    assert status(client, "r1") == "completed"
    assert post(client, runId="r2", env={"NAME": "r2"}).json()["data"]["status"] == "completed"


def test_a_nats_server_that_is_not_there_is_an_error_that_names_it(fleet: Fleet) -> None:
    process = fleet.start("serve", "--nats", "nats://user:secret@127.0.0.1:1", "--port", "0")
    assert process.wait(60) == 2
    log = fleet.log(process)
    assert "--nats: expected a NATS server at 127.0.0.1:1" in log and "secret" not in log
    process = fleet.start("serve", "--dispatch", "pool", "--port", "0")
    assert process.wait(60) == 2 and "--dispatch: expected --nats" in fleet.log(process)
