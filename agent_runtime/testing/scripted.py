"""Runs the program against a scripted model."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_runtime.shell.login_environment import SWITCH as LOGIN_FILES
from agent_runtime.testing.model_server import ModelServer, Request, Scripted
from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.runtime import COMMAND, Result, result


@dataclass(frozen=True)
class ScriptedRun(Result):
    """The result of a run, and the requests to its model.

    Attributes:
        requests: the requests to the model, in order.
    """

    requests: list[Request]


def run_scripted(
    script: Sequence[Scripted],
    workspace: str | Path,
    *,
    prompt: str = "go",
    format: WireFormat = "anthropic",
    options: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    timeout: float = 60,
    **fields: Any,
) -> ScriptedRun:
    """Run the program on one request with a model that plays `script`.

    Raises AssertionError when the event stream violates the documentation, or a model request the rules of the
    provider.

    Args:
        script: the model's turns.
        workspace: the folder that the tools work in.
        prompt: the task.
        format: the wire format of the model.
        options: options of `agent-runtime run`.
        env: variables that are added to the environment of this process, from which API keys are removed. Login files
            are not read: with those of the machine the first command of a run may take a second.
        timeout: maximum duration of the run in seconds.
        fields: further fields of the request.
    """
    with ModelServer(script) as server:
        kept = {
            name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_BASE_URL"))
        }
        done = subprocess.run(
            [*COMMAND, "run", "--workspace", str(workspace), "--format", "ndjson", *options],
            input=json.dumps({"prompt": prompt} | fields).encode(),
            capture_output=True,
            env=kept | {LOGIN_FILES: "0"} | server.environ(format) | dict(env or {}),
            timeout=timeout,
            check=False,
        )
        assert server.violations == [], server.violations
        checked = result(done.stdout, done.returncode, done.stderr)
        return ScriptedRun(checked.events, checked.code, checked.stderr, server.requests)
