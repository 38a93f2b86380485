"""The exit of the program after its last event."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import Call, ModelServer, Turn
from agent_runtime.testing.runtime import COMMAND, environment, result
from tests.support.waiting import until

SECONDS = 0.25  # the finalization of the interpreter alone takes longer
TOGETHER = 1.9  # one grace period after the other would take longer
ENDS: dict[str, tuple[dict[str, object], list[str]]] = {
    "an answer": ({}, []),
    "a thread": ({"threadId": "t"}, []),
    "a tool": ({}, ["echo hi"]),
    "a server": ({}, ["sleep 300 >/dev/null 2>&1 & echo $! > pid"]),
    "no transcript": ({"noRecord": True}, []),
}


@pytest.mark.timed
@pytest.mark.parametrize("end", ENDS)
def test_the_program_exits_at_once_after_complete(end: str, tmp_path: Path) -> None:
    """In the best of three attempts: a busy machine may delay one of them."""
    seconds: list[float] = []
    while len(seconds) < 3 and min(seconds, default=math.inf) >= SECONDS:
        (workspace := tmp_path / str(len(seconds)) / "workspace").mkdir(parents=True)
        seconds.append(seconds_after_complete(*ENDS[end], workspace))
    assert min(seconds) < SECONDS, seconds


def seconds_after_complete(fields: dict[str, object], commands: list[str], workspace: Path) -> float:
    """Seconds from the last event of a completed run to the exit of its process."""
    turns = [Turn(calls=[Call("bash", {"command": command})]) for command in commands]
    with ModelServer([*turns, Turn(text="done")]) as server:
        run = subprocess.Popen(
            [*COMMAND, "run"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(server.environ("anthropic"), workspace.parent / "state"),
        )
        assert run.stdin and run.stdout
        run.stdin.write(json.dumps({"prompt": "x", "workspace": str(workspace)} | fields).encode())
        run.stdin.close()
        lines = []
        completed = math.inf
        for line in run.stdout:
            lines.append(line)
            if json.loads(line)["type"] == "complete":
                completed = time.monotonic()
        code = run.wait()
        seconds = time.monotonic() - completed
        run.stdout.close()
    if (workspace / "pid").exists():
        subprocess.run(["kill", (workspace / "pid").read_text().strip()], check=True)
    assert result(b"".join(lines), code, b"").code == 0
    return seconds


DEAF = "trap '' TERM HUP; touch {}; while :; do sleep 0.1; done"


@pytest.mark.timed
@pytest.mark.parametrize("trap", ["", "trap 'sleep 9' EXIT; "])
def test_a_cancel_ends_calls_sessions_and_shells_at_once(trap: str, tmp_path: Path) -> None:
    """All of them ignore SIGTERM, so each takes the whole second until SIGKILL."""
    seconds: list[float] = []
    while len(seconds) < 3 and min(seconds, default=math.inf) >= TOGETHER:
        (workspace := tmp_path / str(len(seconds)) / "workspace").mkdir(parents=True)
        seconds.append(seconds_after_cancel(trap, workspace))
    assert min(seconds) < TOGETHER, seconds


def seconds_after_cancel(trap: str, workspace: Path) -> float:
    """Seconds from SIGTERM to the exit of a run with a call, sessions and a process left by a call."""
    sessions = [
        Call("exec_command", {"cmd": DEAF.format(n), "tty": n % 2 == 0, "yield_time_ms": 250})
        for n in range(4)
    ]
    commands = [f"{trap}({DEAF.format('left')}) & true", DEAF.format("call")]
    with ModelServer(
        [Turn(calls=sessions), *(Turn(calls=[Call("bash", {"command": each})]) for each in commands)]
    ) as server:
        run = subprocess.Popen(
            [*COMMAND, "run", "--tools", "bash,exec_command", "--prompt", "x", "--workspace", str(workspace)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=environment(server.environ("anthropic"), workspace.parent / "state"),
        )
        until(lambda: {path.name for path in workspace.iterdir()} >= {"0", "1", "2", "3", "left", "call"})
        run.terminate()
        began = time.monotonic()
        out, _ = run.communicate()
        seconds = time.monotonic() - began
    done = result(out, run.returncode, b"")
    assert (done.code, done.complete["left"]) == (143, [])
    return seconds


EXITS = """
import atexit, os, sys, threading
from agent_runtime import __main__
atexit.register(print, "an exit handler")
threading.Thread(target=threading.Event().wait).start()
sys.stderr.write("not flushed")
__main__._leave(3)
"""


def test_exit_handlers_are_called_and_blocked_threads_are_not_waited_for() -> None:
    done = subprocess.run([sys.executable, "-c", EXITS], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (3, "an exit handler\n", "not flushed")
