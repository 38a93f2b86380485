"""The program as PID 1: it reaps what is not its own, and steals no exit status from what is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import Call, ModelServer, Turn
from agent_runtime.testing.runtime import COMMAND, environment, result
from tests.support.runs import bash

NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc"]
ORPHANS = 300


def _reason() -> str:
    if shutil.which("unshare") is None:
        return "there is no unshare(1)"
    tried = subprocess.run([*NAMESPACE, "true"], capture_output=True, text=True)
    return f"no process namespace can be made here: {tried.stderr.strip()}" if tried.returncode else ""


REASON = "making a process namespace takes root" if os.geteuid() else _reason()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)

DOUBLE_FORKS = (
    f"for i in $(seq {ORPHANS}); do (setsid sh -c 'exit 9' &); done; exit_with() {{ return 5; }}; exit_with"
)
NO_ZOMBIES = "while cat /proc/[0-9]*/stat 2>/dev/null | grep -q ') Z '; do sleep 0.05; done; echo none"


def test_the_program_reaps_orphans_as_pid_1(workspace: Path) -> None:
    script = [
        bash("echo $PPID"),
        bash(DOUBLE_FORKS),
        bash(NO_ZOMBIES),
        Turn(calls=[Call("exec_command", {"cmd": "(setsid sh -c 'exit 9' &); sleep 0.1; exit 6"})]),
        Turn(calls=[Call("grep", {"pattern": "needle"})]),
        bash("exit 7"),
        bash(NO_ZOMBIES),
        Turn(text="ok"),
    ]
    (workspace / "hay").write_text("needle\n")
    with ModelServer(script) as server:
        request = {"prompt": "x", "workspace": str(workspace), "tools": ["bash", "exec_command", "grep"]}
        done = subprocess.run(
            [*NAMESPACE, *COMMAND, "run"],
            input=json.dumps(request).encode(),
            capture_output=True,
            env=environment(server.environ("anthropic"), workspace.parent / "state"),
            timeout=150,
        )
        outcome = result(done.stdout, done.returncode, done.stderr)
    first, forks, zombies, session, search, left, again = outcome.of("tool_result")
    assert outcome.code == 0 and first["output"].split() == ["1"]  # it is PID 1
    assert [forks["exitCode"], session["exitCode"], left["exitCode"]] == [5, 6, 7]
    assert "hay" in search["output"] and not search["isError"]
    assert (zombies["output"], again["output"]) == ("none", "none")


def test_the_exit_status_is_correct_as_pid_1(workspace: Path) -> None:
    with ModelServer([bash("(setsid sleep 300 &); true")], repeat_last=True) as server:
        done = subprocess.run(
            [*NAMESPACE, *COMMAND, "run", "--prompt", "x", "--max-turns", "1", "--workspace", str(workspace)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(server.environ("anthropic"), workspace.parent / "state"),
            timeout=60,
        )
    outcome = result(done.stdout, done.returncode, done.stderr)
    assert (outcome.code, outcome.complete["stopReason"]) == (3, "max_turns")
