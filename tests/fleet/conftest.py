"""Runners, servers and NATS, each in a process of its own, and a scripted model behind them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent_runtime.fleet.connection import Connection
from agent_runtime.fleet.names import MESSAGE_ID, RUN_ID, Queue
from agent_runtime.testing.model_server import ModelServer, Request, Turn
from agent_runtime.testing.runtime import COMMAND, environment
from tests.fleet.nats_process import NatsProcess
from tests.support.waiting import until

Json = dict[str, Any]
LEASE = 20  # seconds: longer than a stall of the machine, and shorter than a test waits


def tool_then_done(command: str) -> Callable[[Request], Turn]:
    """A model that runs a command, and then ends."""

    def turn(request: Request) -> Turn:
        begun = any(message["role"] == "assistant" for message in request.body["messages"])
        return Turn(text="done") if begun else Turn(calls=[("bash", {"command": command})])

    return turn


@dataclass
class Fleet:
    """What a test starts; everything ends with it."""

    folder: Path
    nats: NatsProcess
    model: ModelServer
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    clients: list[httpx2.Client] = field(default_factory=list)

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        folders = ["--workspace", str(self.workspace), "--state-dir", str(self.folder / "state")]
        name = f"{arguments[0]}-{len(self.processes)}.log"
        log = (self.folder / name).open("wb")
        process = subprocess.Popen(
            [*COMMAND, *arguments, *([] if "--state-dir" in arguments else folders)],
            cwd=self.folder,
            env=environment(self.model.environ("anthropic"), self.folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        log.close()
        self.processes.append(process)
        self.names.append(name)
        return process

    def log(self, process: subprocess.Popen[bytes]) -> str:
        return (self.folder / self.names[self.processes.index(process)]).read_text()

    def runner(
        self, *options: str, queue: str = "pool", url: str = "", lease: int = LEASE
    ) -> subprocess.Popen[bytes]:
        """A runner that takes requests. The first one sets the lease of the queue, in seconds."""
        at = ["--nats", url or self.nats.url, "--queue", queue, "--lease", str(lease), "--no-standby"]
        process = self.start("runner", *at, "--concurrency", "4", *options)
        until(lambda: "takes requests" in self.log(process) or process.poll() is not None)
        return process

    def serve(self, *options: str, nats: str = "") -> tuple[subprocess.Popen[bytes], httpx2.Client]:
        """A server that answers."""
        at = ["--port", "0", "--no-standby", "--nats", nats or self.nats.url]
        process = self.start("serve", *at, *options)
        until(lambda: "listening" in self.log(process) or process.poll() is not None)
        found = re.search(r"http://\S+", self.log(process))
        assert found, self.log(process)
        client = httpx2.Client(base_url=found[0], timeout=60)
        self.clients.append(client)
        until(lambda: _is_up(client))
        return process, client

    def enqueue(self, run_id: str, queue: str = "pool", **request: Any) -> None:
        """Put a request into a queue, as a server does."""
        body = json.dumps({"prompt": "x"} | request).encode()
        name = Queue.parse(queue)
        headers = {RUN_ID: run_id, MESSAGE_ID: run_id}

        async def put(connection: Connection) -> None:
            await connection.js.publish(name.work(), body, headers=headers)

        self.nats.ask(put)

    def complete(self, run_id: str, queue: str = "pool") -> Json:
        """The last event of a run, when it is there; the stream before it is checked."""
        self.nats.until_complete(run_id, queue)
        events = self.nats.events(run_id, queue)
        assert [event["seq"] for event in events] == list(range(len(events)))
        assert [event["type"] for event in events].count("complete") == 1
        return events[-1]

    def acted(self, name: str) -> str:
        """What the commands of a run have written to a file of the workspace."""
        path = self.workspace / name
        return path.read_text() if path.exists() else ""


def _is_up(client: httpx2.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.fixture
def model() -> Iterator[ModelServer]:
    server = ModelServer([Turn(text="done")], repeat_last=True).start()
    yield server
    server.close()


@pytest.fixture
def fleet(tmp_path: Path, model: ModelServer) -> Iterator[Fleet]:
    (tmp_path / "workspace").mkdir()
    nats = NatsProcess(tmp_path)
    started = Fleet(tmp_path, nats, model)
    yield started
    (tmp_path / "workspace" / "go").touch()
    for client in started.clients:
        client.close()
    for process in started.processes:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()
    nats.close()
    until(lambda: not _left_behind(tmp_path))


def _left_behind(folder: Path) -> list[int]:
    """The processes that still work in a folder: runs whose runner was killed end by themselves."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "cwd").readlink().is_relative_to(folder) and path.name != str(os.getpid()):
                found.append(int(path.name))
        except OSError:
            continue
    return found
