"""A server in a process of its own, and a scripted model behind it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from agent_runtime.server.run_files import RunFiles, is_process
from agent_runtime.system.processes import Process
from agent_runtime.testing.model_server import ModelServer, Scripted
from agent_runtime.testing.runtime import COMMAND, environment
from tests.support.waiting import until


@dataclass
class Served:
    """A running server."""

    process: subprocess.Popen[bytes]
    url: str
    workspace: Path
    state: Path
    model: ModelServer
    headers: dict[str, str] = field(default_factory=dict)

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, headers=self.headers, timeout=60)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def files(self, run_id: str) -> RunFiles:
        return RunFiles(self.state / "runs" / run_id)

    def pid(self, run_id: str) -> int:
        """The pid of a run, which the server stores after it has started the process."""

        def stored() -> int:
            record = self.files(run_id).record()
            return record.pid if record else 0

        return until(stored)

    def until_read(self, run_id: str, text: str) -> None:
        """Wait until a run has read a control message that contains a text: it is in the recording then."""
        transcript = self.files(run_id).folder / "transcript.ndjson"
        until(lambda: text in transcript.read_text())


Serve = Callable[..., Served]


def has_ended(pid: int) -> bool:
    process = Process.of(pid)
    return process is None or process.gone


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    with servers(tmp_path) as start:
        yield start


@contextmanager
def servers(folder: Path) -> Iterator[Serve]:
    """Starts servers; a second one with the same folders is a restart."""
    started: list[Served] = []
    models: list[ModelServer] = []
    workspace = folder / "workspace"
    workspace.mkdir()

    def start(
        script: list[Scripted] | None = None,
        *options: str,
        model: ModelServer | None = None,
        key: str = "",
        standby: bool = False,
        **model_options: bool,
    ) -> Served:
        if model is None:
            model = ModelServer(script or [], **model_options).start()
            models.append(model)
        state = folder / "state"
        command = [
            *COMMAND,
            "serve",
            "--port",
            "0",
            "--workspace",
            str(workspace),
            "--state-dir",
            str(state),
            *([] if standby else ["--no-standby"]),
            *options,
        ]
        process = subprocess.Popen(
            command,
            env=environment(model.environ("anthropic"), folder / "xdg"),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr
        line = process.stderr.readline().decode()
        found = re.search(r"http://\S+", line)
        assert found, line
        headers = {"authorization": f"Bearer {key}"} if key else {}
        served = Served(process, found[0], workspace, state, model, headers)
        started.append(served)
        return served

    yield start
    (workspace / "started").unlink(missing_ok=True)  # ends commands that outlived a killed run
    for served in started:
        served.process.terminate()
    for served in started:
        served.process.wait(60)
        assert served.process.stderr
        served.process.stderr.close()
    records = [RunFiles(folder).record() for folder in (folder / "state" / "runs").glob("*")]
    left = [record.pid for record in records if record and is_process(record.pid, record.started)]
    for pid in left:
        with suppress(ProcessLookupError):  # it has just ended
            os.killpg(pid, signal.SIGTERM)
    until(lambda: all(map(has_ended, left)))
    for model in models:
        model.close()
