"""An honest end: work is waited for, or named; nothing is killed under a completed run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from agent_runtime.system.processes import Process
from agent_runtime.testing.model_server import Call, ModelServer, Turn
from agent_runtime.testing.runtime import COMMAND, Json, Result, environment, result, run


def start(command: str, *, tty: bool) -> Turn:
    return Turn(calls=[Call("exec_command", {"cmd": command, "tty": tty, "yield_time_ms": 250})])


def finish(turns: list[Turn], workspace: Path, **fields: object) -> Result:
    with ModelServer([*turns, Turn(text="done")]) as server:
        request = {"prompt": "x", "tools": ["exec_command", "bash"], **fields}
        return run(request, workspace, server.environ("openai-responses"))


def commands(processes: list[Json] | None) -> list[str]:
    return [process["command"] for process in processes or []]


@pytest.mark.parametrize("tty", [True, False])
def test_work_that_ends_soon_is_waited_for(tty: bool, workspace: Path) -> None:
    done = finish([start("sleep 1.5; echo yes > out.txt", tty=tty)], workspace)
    assert (done.code, done.complete["status"]) == (0, "completed")
    assert done.complete["files"] == [str(workspace / "out.txt")]
    assert "ended" not in done.complete and done.complete["left"] == []
    assert [notice["code"] for notice in done.of("notice")] == ["background_awaited"]


@pytest.mark.parametrize("tty", [True, False])
def test_work_that_takes_longer_continues_and_is_listed(tty: bool, workspace: Path) -> None:
    done = finish([start("sleep 300; true", tty=tty)], workspace, config={"timeout": 6})
    left = done.complete["left"]
    try:
        assert (done.code, commands(left), done.complete.get("ended")) == (0, ["sleep 300; true"], None)
        assert left[0]["toolCallId"] and Path(left[0]["logFile"]).exists()
        living = Process.of(left[0]["pid"])
        assert living is not None and living.lives
    finally:
        for process in left:
            os.kill(process["pid"], signal.SIGKILL)


@pytest.mark.parametrize(
    "command, tty", [("python3 -qi", True), ("bash --norc", True), ("cat", False), ("stty raw; cat", True)]
)
def test_programs_that_wait_for_input_are_ended_and_listed(command: str, tty: bool, workspace: Path) -> None:
    done = finish([start(command, tty=tty)], workspace)
    assert (done.code, commands(done.complete.get("ended"))) == (0, [command])
    assert done.complete["left"] == []


def test_programs_that_end_by_themselves_are_not_listed_as_ended(workspace: Path) -> None:
    script = [Turn(calls=[Call("bash", {"command": "sleep 0.3 & echo started"})])]
    done = finish(script, workspace)
    assert done.code == 0 and "ended" not in done.complete


@pytest.mark.parametrize("how", ["SIGTERM", "cancel"])
def test_a_run_that_is_cancelled_while_it_waits_is_not_completed(how: str, workspace: Path) -> None:
    with ModelServer([start("sleep 300; true", tty=True), Turn(text="done")]) as server:
        process = subprocess.Popen(
            [*COMMAND, "run", "--workspace", str(workspace), "--tools", "exec_command"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(server.environ("openai-responses"), workspace.parent / "state"),
        )
        with process:
            assert process.stdin and process.stdout and process.stderr
            process.stdin.write(b'{"prompt": "x"}\n')
            process.stdin.flush()
            lines = []
            for line in process.stdout:
                lines.append(line)
                if json.loads(line)["type"] == "notice":
                    break
            if how == "SIGTERM":
                process.send_signal(signal.SIGTERM)
            else:
                process.stdin.write(b'{"action": "cancel"}\n')
                process.stdin.flush()
            lines += process.stdout.readlines()
            done = result(b"".join(lines), process.wait(), process.stderr.read())
    assert done.complete["status"] == "cancelled" and done.complete["output"] == "done"
    assert commands(done.complete["ended"]) == ["sleep 300; true"] and done.complete["left"] == []
