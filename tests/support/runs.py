"""Runs of the program that a test follows and interferes with, against a scripted model."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent_runtime.testing.model_server import Call, ModelServer, Turn
from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.runtime import COMMAND, environment


def bash(command: str, **more: Any) -> Turn:
    """A turn that calls `bash`."""
    return Turn(calls=[Call("bash", {"command": command, **more})])


def start_run(
    server: ModelServer,
    workspace: Path,
    *options: str,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    format: WireFormat = "anthropic",
    descriptors: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `agent-runtime run` with these options and return without waiting for it."""
    return subprocess.Popen(
        [*COMMAND, "run", "--workspace", str(workspace), *options],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=environment(server.environ(format), workspace.parent / f"{workspace.name}.state"),
        pass_fds=descriptors,
    )
