"""The examples do what they say: the launcher follows a run and cancels it, the transcript replays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent_runtime.protocol.request import parse
from agent_runtime.testing.model_server import Fault, ModelServer, Turn

REPO = Path(__file__).parents[2]
EXAMPLES = REPO / "examples"
LAUNCHER = [sys.executable, str(EXAMPLES / "fc_agent.py"), str(EXAMPLES / "request.json")]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}


def test_the_launcher_shows_calls_edits_and_the_answer(environment: dict[str, str], workspace: Path) -> None:
    script = [Turn(calls=[("bash", {"command": "echo hi >greet.py"})]), Turn(text="All done.")]
    with ModelServer(script) as server:
        given = environment | server.environ("anthropic")
        done = subprocess.run(
            [*LAUNCHER, str(workspace)], env=given, capture_output=True, text=True, timeout=60
        )
    assert (done.returncode, server.violations) == (0, []), done.stderr
    assert done.stdout.splitlines() == [
        'bash {"command": "echo hi >greet.py"}',
        f"  create {workspace}/greet.py (+1 -0)",
        "completed: All done.",
    ]


def test_ctrl_c_on_the_launcher_cancels_the_run(environment: dict[str, str], workspace: Path) -> None:
    turn = Turn(calls=[("bash", {"command": "echo $$ >pid; sleep 300"})])
    with ModelServer([turn]) as server:
        given = environment | server.environ("anthropic")
        with subprocess.Popen(
            [*LAUNCHER, str(workspace)], env=given, stdout=subprocess.PIPE, text=True
        ) as launcher:
            try:
                assert launcher.stdout is not None
                assert launcher.stdout.readline().startswith("bash ")
                launcher.send_signal(signal.SIGINT)
                rest, _ = launcher.communicate(timeout=60)
            finally:
                launcher.kill()
    assert launcher.returncode == 130
    assert rest.splitlines()[-1].startswith("cancelled:")


def test_the_launcher_returns_the_exit_code_of_a_failed_run(
    environment: dict[str, str], workspace: Path
) -> None:
    with ModelServer([Turn(fault=Fault(401, message="no such key"))]) as server:
        given = environment | server.environ("anthropic")
        done = subprocess.run(
            [*LAUNCHER, str(workspace)], env=given, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 1
    assert "authentication_error: " in done.stderr


def test_the_launcher_has_at_most_40_lines() -> None:
    lines = (EXAMPLES / "fc_agent.py").read_text().partition("COMMAND = ")[2].splitlines()
    assert len([line for line in lines if line.strip()]) <= 40


def test_the_transcript_replays(environment: dict[str, str], workspace: Path) -> None:
    command = [sys.executable, "-I", "-m", "agent_runtime", "replay", str(EXAMPLES / "transcript.ndjson")]
    command += ["--tools", "recorded", "--verify"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "completed"


def test_the_example_request_is_valid() -> None:
    request, unknown = parse(json.loads((EXAMPLES / "request.json").read_text("utf-8")))
    assert (request.config.max_turns, unknown) == (20, [])
