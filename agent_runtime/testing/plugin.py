"""Pytest fixtures: `pytest_plugins = ("agent_runtime.testing.plugin",)` in a conftest.py makes them available."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.testing.model_server import ModelServer, Scripted
from agent_runtime.testing.runtime import COMMAND, Result, result

MakeServer = Callable[..., ModelServer]
Replay = Callable[..., Result]


@pytest.fixture
def model_server() -> Iterator[MakeServer]:
    """Return a function that starts a scripted model: `model_server([Turn(text="done")])`.

    The test fails if a server has refused a request.
    """
    servers: list[ModelServer] = []

    def start(script: Sequence[Scripted], **options: Any) -> ModelServer:
        server = ModelServer(script, **options).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()
    assert [server.violations for server in servers if server.violations] == []


@pytest.fixture
def replay(tmp_path: Path) -> Replay:
    """Return a function that replays a transcript and compares it with the recording: `replay(transcript, workspace)`.

    Without a workspace nothing is executed. Options of `agent-runtime replay` may follow. The test fails when the
    replay differs from the recording, and shows the difference.
    """

    def play(transcript: str | Path, workspace: str | Path | None = None, *options: str) -> Result:
        where = ["--tools", "recorded"] if workspace is None else ["--workspace", str(workspace)]
        command = [*COMMAND, "replay", str(transcript), "--verify", "--state-dir", str(tmp_path / "state")]
        done = subprocess.run(
            [*command, *where, *options], capture_output=True, stdin=subprocess.DEVNULL, check=False
        )
        assert done.returncode != 4, done.stderr.decode(errors="replace")
        return result(done.stdout, done.returncode, done.stderr)

    return play
