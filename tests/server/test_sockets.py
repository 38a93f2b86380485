"""WebSockets: the stream of a run with control messages in return, and the logs of a sandbox."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from agent_runtime.server.run_files import RunFiles, RunRecord
from agent_runtime.server.run_index import ListedRun
from agent_runtime.server.run_routes import run_socket
from agent_runtime.server.sandbox_routes import SandboxLogs
from agent_runtime.server.stream_file import Line
from agent_runtime.testing.model_server import Turn
from tests.server.conftest import Serve
from tests.server.test_runs import waiting
from tests.support.waiting import until


def test_a_run_is_followed_and_controlled_by_websocket(serve: Serve) -> None:
    served = serve([waiting(), Turn(text="done")])
    with served.client() as client, client.stream("POST", "/v1/run", json={"prompt": "go", "runId": "r1"}):
        until((served.workspace / "started").exists)
    address = f"{served.url.replace('http', 'ws')}/v1/run/code-assistant/stream/r1"
    with connect(address, additional_headers={"x-request-id": "mine"}) as socket:
        assert socket.response and socket.response.headers["x-request-id"] == "mine"
        socket.send("no JSON")
        socket.send(json.dumps({"action": "answer", "id": "q1"}))
        socket.send(json.dumps({"action": "input", "text": "and this"}))
        messages: list[dict[str, Any]] = []
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                messages.append(json.loads(socket.recv(timeout=60)))
                if len([message for message in messages if "error" in message]) == 2:
                    served.until_read("r1", "and this")
                    (served.workspace / "go").touch()
    assert closed.value.rcvd and closed.value.rcvd.code == 1000
    events = [message for message in messages if "type" in message]
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert events[-1]["output"] == "done" and "and this" in json.dumps(served.model.bodies[-1])
    refused = [message["error"]["message"] for message in messages if "type" not in message]
    assert "expected an object with an action" in refused[0] and refused[1].startswith("text:")


def test_a_refused_websocket_has_the_status_and_the_error(serve: Serve) -> None:
    served = serve([], "--api-key", "rt_mine")
    for path, key, status, code in [
        ("/v1/run/x/stream/none", "rt_mine", 404, "not_found"),
        ("/v1/run/x/stream/none?after=x", "rt_other", 401, "authentication_error"),
    ]:
        with pytest.raises(InvalidStatus) as refused:
            connect(served.url.replace("http", "ws") + path, additional_headers={"x-api-key": key}).close()
        assert refused.value.response.status_code == status
        assert json.loads(refused.value.response.body or b"")["error"]["code"] == code


class SilentRun:
    """A run of which nothing is heard."""

    def __init__(self) -> None:
        self.followers = 0
        self.is_followed = asyncio.Event()

    async def follow(self, after: int) -> AsyncIterator[list[Line]]:
        self.followers += 1
        self.is_followed.set()
        try:
            await asyncio.Event().wait()
            yield []
        finally:
            self.followers -= 1


class FakeSocket:
    """The socket of a client that leaves as soon as it follows the run."""

    def __init__(self, run: SilentRun) -> None:
        async def found(run_id: str) -> SilentRun:
            return run

        server = SimpleNamespace(run=found)
        self.app = SimpleNamespace(state=SimpleNamespace(server=server))
        self.path_params, self.query_params = {"run_id": "r1"}, dict[str, str]()
        self._run = run

    async def accept(self) -> None:
        pass

    async def receive(self) -> dict[str, str]:
        await self._run.is_followed.wait()
        return {"type": "websocket.disconnect"}


def test_a_client_that_leaves_while_nothing_happens_leaves_nothing_behind() -> None:
    async def main() -> None:
        run = SilentRun()
        await asyncio.wait_for(run_socket(FakeSocket(run)), 30)  # type: ignore[arg-type]
        assert run.is_followed.is_set() and run.followers == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_a_flood_is_refused_and_reaches_nobody_else(serve: Serve) -> None:
    served = serve([waiting(), Turn(text="done")])
    with served.client() as client, client.stream("POST", "/v1/run", json={"prompt": "go", "runId": "r1"}):
        until((served.workspace / "started").exists)
    address = f"{served.url.replace('http', 'ws')}/v1/run/code-assistant/stream/r1"
    with connect(address) as other:
        floods: list[str | bytes] = ["x" * 10_000_000, b"\xff" * 9_000_000]
        for flood, compression in itertools.product(floods, [None, "deflate"]):
            with connect(address, compression=compression) as socket:
                with suppress(ConnectionClosed):  # it may be refused while it sends
                    socket.send(flood)
                with pytest.raises(ConnectionClosed) as closed:
                    while True:
                        socket.recv(timeout=60)
            assert closed.value.rcvd and closed.value.rcvd.code == 1009
        (served.workspace / "go").touch()
        events = []
        with pytest.raises(ConnectionClosed):
            while True:
                events.append(json.loads(other.recv(timeout=60)))
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert events[-1]["output"] == "done"


class FakeRuns:
    """One run of a sandbox, and its log."""

    def __init__(self, folder: Path) -> None:
        self.status, self.folder = "running", folder

    def files(self, run_id: str) -> RunFiles:
        return RunFiles(self.folder)

    def recently_listed(self, seconds: float) -> list[ListedRun]:
        record = SimpleNamespace(run_id="r1", sandbox_id="s1")
        return [ListedRun(record, self.status)]  # type: ignore[arg-type]


def test_logs_are_read_in_whole_lines(tmp_path: Path) -> None:
    runs, log = FakeRuns(tmp_path), tmp_path / "log.txt"
    logs = SandboxLogs(runs, "s1")  # type: ignore[arg-type]
    data = "first é\nsecond".encode()
    log.write_bytes(data[:7])  # in the middle of a character
    assert logs.read() == []
    log.write_bytes(data)
    assert logs.read() == [{"runId": "r1", "line": "first é"}]
    assert logs.read() == []
    runs.status = "completed"
    assert logs.read() == [{"runId": "r1", "line": "second"}]
    assert SandboxLogs(runs, "other").read() == []  # type: ignore[arg-type]


def test_a_run_without_a_log_has_no_lines(tmp_path: Path) -> None:
    assert SandboxLogs(FakeRuns(tmp_path), "s1").read() == []  # type: ignore[arg-type]


def test_a_line_longer_than_a_piece_is_not_held_back(tmp_path: Path) -> None:
    runs = FakeRuns(tmp_path)
    (tmp_path / "log.txt").write_bytes(b"x" * 100_000)
    logs = SandboxLogs(runs, "s1")  # type: ignore[arg-type]
    assert [len(message["line"]) for message in logs.read()] == [1 << 16]


def test_the_logs_of_a_sandbox_arrive_by_websocket(serve: Serve) -> None:
    served = serve([Turn(text="done")])
    record = RunRecord("r0", "t", "a", "2026-01-01T00:00:00.000Z", 1, 1, sandbox_id="s1")
    files = RunFiles(served.state / "runs" / "r0")
    files.folder.mkdir(parents=True)
    files.events.touch()
    files.write_record(record)
    files.log.write_text("one\ntwo\n")
    with connect(f"{served.url.replace('http', 'ws')}/v1/sandboxes/s1/logs") as socket:
        assert [json.loads(socket.recv(timeout=60))["line"] for _ in range(2)] == ["one", "two"]
        with files.log.open("a") as log:
            log.write("three\n")
        assert json.loads(socket.recv(timeout=60)) == {"runId": "r0", "line": "three"}
