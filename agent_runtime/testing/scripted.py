"""Runs of the real program against a scripted model."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_runtime.testing.model_server import ModelServer, Request, Scripted
from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.runtime import COMMAND, Result, result


@dataclass(frozen=True)
class ScriptedRun(Result):
    """A run and what its model was sent.

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
    """Run the program on one request, its model playing `script`.

    The stream is held against the promises of the documentation, and the requests against the rules of the provider;
    either raises AssertionError.

    Args:
        script: the model's turns.
        workspace: where the tools work.
        prompt: the task.
        format: the wire format that the model speaks.
        options: of `agent-runtime run`.
        env: added to the environment of this process, keys of providers left out.
        timeout: seconds that the run may take.
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
            env=kept | server.environ(format) | dict(env or {}),
            timeout=timeout,
            check=False,
        )
        assert server.violations == [], server.violations
        checked = result(done.stdout, done.returncode, done.stderr)
        return ScriptedRun(checked.events, checked.code, checked.stderr, server.requests)
