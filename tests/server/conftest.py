"""A server in a process of its own, and a scripted model behind it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from agent_runtime.server.run_files import RunFiles
from agent_runtime.testing.model_server import ModelServer, Scripted
from agent_runtime.testing.runtime import COMMAND, environment


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


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts servers; a second one with the same folders is a restart."""
    started: list[Served] = []
    models: list[ModelServer] = []
    workspace = tmp_path / "workspace"
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
        state = tmp_path / "state"
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
            env=environment(model.environ("anthropic"), tmp_path / "xdg"),
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
        served.process.wait(10)
        assert served.process.stderr
        served.process.stderr.close()
    for folder in (tmp_path / "state" / "runs").glob("*"):
        record = RunFiles(folder).record()
        if record and record.pid:  # 0 would be the group of this process
            with suppress(ProcessLookupError):
                os.killpg(record.pid, signal.SIGTERM)
    for model in models:
        model.close()
