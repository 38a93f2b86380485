"""Keys by file descriptor: used, and then nowhere. What is no such descriptor is named."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from agent_runtime.errors import RequestError
from agent_runtime.providers.keys import from_request, received
from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.runtime import COMMAND, Json, Result, environment, result
from tests.support.runs import bash

KEY = "sk-by-descriptor-0123456789"
LOOK = "ls -l /proc/$PPID/fd /proc/$$/fd; env; tr '\\0' '\\n' < /proc/$PPID/environ; cat /proc/*/cmdline | tr '\\0' ' '"


def pipe(text: str) -> int:
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    with os.fdopen(writer, "w") as file:
        file.write(text)
    return reader


def run(request: Json, environ: dict[str, str], fd: int, folder: Path) -> Result:
    done = subprocess.run(
        [*COMMAND, "run"],
        input=json.dumps({"prompt": "x", "workspace": str(folder)} | request).encode(),
        capture_output=True,
        env=environment(environ, folder / "state"),
        pass_fds=[fd],
        timeout=60,
    )
    os.close(fd)
    return result(done.stdout, done.returncode, done.stderr)


@pytest.mark.parametrize("by", ["variable", "request"])
def test_a_key_from_a_descriptor_is_used_and_appears_nowhere(by: str, workspace: Path) -> None:
    fd = pipe(f"{KEY}\n")
    with ModelServer([bash(LOOK), Turn(text=f"it is {KEY}")]) as server:
        environ = {name: value for name, value in server.environ("anthropic").items() if "KEY" not in name}
        request: Json = {"record": str(workspace.parent / "t.ndjson")}
        if by == "variable":
            environ["ANTHROPIC_API_KEY_FD"] = str(fd)
        else:
            model = {"provider": "custom", "endpoint": server.url, "format": "anthropic", "name": "m"}
            request["model"] = [{**model, "apiKey": f"fd:{fd}"}, {**model, "apiKey": f"fd:{fd}", "name": "n"}]
        done = run(request, environ, fd, workspace)
        assert any(KEY in value for value in server.requests[0].headers.values())
    assert (done.code, done.complete["output"]) == (0, "it is [secret]")
    (printed,) = done.of("tool_result")
    assert "API_KEY_FD" not in printed["output"].split("AGENT_RUNTIME_RUN_ID")[0]
    assert KEY not in json.dumps(done.events) + done.stderr + (workspace.parent / "t.ndjson").read_text()


def test_an_unusable_descriptor_is_reported_with_its_field(workspace: Path) -> None:
    fd = pipe("")
    done = run({}, {"ANTHROPIC_API_KEY_FD": str(fd)}, fd, workspace)
    assert (done.code, done.of("error")[0]["details"]["field"]) == (2, "ANTHROPIC_API_KEY_FD")


@pytest.mark.parametrize("number", ["", "x", "-1", "0", "2", "9999", "9" * 30])
def test_invalid_descriptors_are_refused(number: str) -> None:
    with pytest.raises(RequestError) as refused:
        from_request(f"fd:{number}")
    assert refused.value.field == "model.apiKey"


def test_descriptors_of_this_program_are_not_read() -> None:
    reader, writer = os.pipe()  # closed on exec, like all descriptors of the runtime
    with pytest.raises(RequestError):
        from_request(f"fd:{reader}")
    os.close(reader)
    os.close(writer)


def test_the_descriptor_number_is_replaced_by_the_key() -> None:
    fd = pipe(KEY)
    environ = {"OPENAI_API_KEY_FD": str(fd), "OPENAI_API_KEY": "other", "A": "b", "MY_FD": "7"}
    assert received(environ) == {"OPENAI_API_KEY": KEY, "A": "b", "MY_FD": "7"}
    with pytest.raises(OSError):
        os.fstat(fd)  # closed
    assert from_request("sk-plain") == "sk-plain"
