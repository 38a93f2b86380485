"""What a run logs, and what never reaches its event stream."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import Call, ModelServer, Turn
from agent_runtime.testing.runtime import COMMAND, Result, environment, result, run
from tests.support.runs import bash

KEY = "sk-ant-loopback-0123456789"


def test_keys_appear_in_no_output(workspace: Path, tmp_path: Path) -> None:
    command = (
        "env; tr '\\0' '\\n' < /proc/$PPID/environ; head -c 1 /proc/$PPID/mem; "
        f"echo {KEY}; echo {KEY} | base64; cat /proc/$PPID/environ | base64; echo $MY_TOKEN"
    )
    transcript = tmp_path / "t.ndjson"
    with ModelServer(
        [Turn(text=f"the key is {KEY}", calls=[Call("bash", {"command": command})]), Turn(text=KEY)]
    ) as server:
        done = run(
            {"prompt": "x", "env": {"MY_TOKEN": "token-value-123456"}},
            workspace,
            server.environ("anthropic"),
            ["--record", str(transcript), "--partial"],
        )
    assert done.code == 0
    wire = json.dumps(done.events) + done.stderr + transcript.read_text()
    for secret in (KEY, base64.b64encode(KEY.encode()).decode()[:-4], "token-value-123456"):
        assert secret not in wire
    output = done.of("tool_result")[0]["output"]
    assert "ANTHROPIC_API_KEY=[" not in output and "OPENAI_API_KEY=[" not in output  # erased, not only masked
    assert any(KEY in value for value in server.requests[0].headers.values())
    # the tools of the model may use the variables that they were given
    assert "token-value-123456" in json.dumps(server.bodies[1])


def test_a_key_in_the_request_is_used_and_hidden(workspace: Path) -> None:
    with ModelServer([bash("env"), Turn(text="ok")]) as server:
        model = {
            "provider": "custom",
            "endpoint": server.url,
            "apiKey": "custom-key-12345678",
            "format": "anthropic",
            "name": "m",
        }
        done = run({"prompt": "x", "model": model}, workspace, {})
    assert done.code == 0, done.events
    assert server.requests[0].headers["x-api-key"] == "custom-key-12345678"
    assert "custom-key-12345678" not in json.dumps(done.events) + done.stderr


def test_a_hanging_library_print_stays_off_the_stream(workspace: Path) -> None:
    with ModelServer([Turn(text="ok")]) as server:
        environ = environment(server.environ("anthropic"), workspace.parent / "state")
        code = (
            "import atexit, os, sys; atexit.register(lambda: os.write(1, b'late\\n'));"
            "sys.argv = ['agent-runtime', 'run', '--prompt', 'x'];"
            "from agent_runtime.__main__ import main; main()"
        )
        done = subprocess.run(
            [COMMAND[0], "-I", "-c", code],
            capture_output=True,
            env=environ,
            cwd=workspace,
            stdin=subprocess.DEVNULL,
        )
    outcome: Result = result(done.stdout, done.returncode, done.stderr)
    assert outcome.code == 0 and "late" in outcome.stderr


@pytest.mark.parametrize("by", ["option", "environment"])
def test_the_log_level_shows_what_the_run_does_without_keys(by: str, workspace: Path) -> None:
    with ModelServer([bash(f"echo {KEY}"), Turn(text="done")]) as server:
        environ = server.environ("anthropic")
        options = ("--log-level", "debug") if by == "option" else ()
        more = {"AGENT_RUNTIME_LOG": "debug"} if by == "environment" else {}
        done = run({"prompt": "go"}, workspace, environ | more, options)
        quiet = run({"prompt": "go", "tools": []}, workspace, environ)
    for text in (
        "the loop starts",
        "model call to anthropic:",
        "turn 1: bash",
        "bash call_",
        "the loop has ended",
    ):
        assert text in done.stderr, done.stderr
    assert KEY not in done.stderr
    assert "DEBUG" not in quiet.stderr


def test_an_abort_prints_the_stack_of_every_thread(workspace: Path) -> None:
    with ModelServer([bash("echo $PPID; touch running; sleep 60")]) as server:
        environ = environment(server.environ("anthropic"), workspace.parent / "state")
        command = [*COMMAND, "run", "--prompt", "go", "--workspace", str(workspace)]
        with subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout and process.stderr
            for line in process.stdout:
                if b'"tool_call"' in line:
                    break
            os.kill(process.pid, signal.SIGABRT)
            _, stderr = process.communicate(timeout=60)
    assert b"Thread 0x" in stderr and b"most recent call first" in stderr
