"""An honest end: work is waited for, or named; nothing is killed under a completed run."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from agent_runtime.system.processes import Process
from agent_runtime.testing.model_server import Call, ModelServer, Turn
from agent_runtime.testing.runtime import Json, Result, run
from tests.support.followed import running


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
    work = start("until [ -e go ]; do sleep 0.02; done; echo yes > out.txt", tty=tty)
    with (
        ModelServer([work, Turn(text="done")]) as server,
        running(server, workspace, "--tools", "exec_command", format="openai-responses") as run,
    ):
        run.until("notice", code="background_awaited")
        (workspace / "go").touch()
        done = run.end()
    assert (done.code, done.complete["status"]) == (0, "completed")
    assert done.complete["files"] == [str(workspace / "go"), str(workspace / "out.txt")]
    assert "ended" not in done.complete and done.complete["left"] == []
    assert [notice["code"] for notice in done.of("notice")] == ["background_awaited"]


def test_work_that_takes_longer_continues_and_is_listed(workspace: Path) -> None:
    works = ["sleep 300; true", "sleep 301; true"]
    script = [start(work, tty=is_first) for work, is_first in zip(works, (True, False), strict=True)]
    done = finish(script, workspace, config={"timeout": 9})  # the run waits for it until shortly before
    left = done.complete["left"]
    try:
        assert (done.code, sorted(commands(left)), done.complete.get("ended")) == (0, works, None)
        for process in left:
            assert process["toolCallId"] and Path(process["logFile"]).exists()
            living = Process.of(process["pid"])
            assert living is not None and living.lives
    finally:
        for process in left:
            os.kill(process["pid"], signal.SIGKILL)


def test_programs_that_wait_for_input_are_ended_and_listed(workspace: Path) -> None:
    programs = {"python3 -qi": True, "bash --norc": True, "cat": False, "stty raw; cat": True}
    done = finish([start(command, tty=tty) for command, tty in programs.items()], workspace)
    assert (done.code, sorted(commands(done.complete.get("ended")))) == (0, sorted(programs))
    assert done.complete["left"] == []


def test_programs_that_end_by_themselves_are_not_listed_as_ended(workspace: Path) -> None:
    script = [Turn(calls=[Call("bash", {"command": "sleep 0.3 & echo started"})])]
    done = finish(script, workspace)
    assert done.code == 0 and "ended" not in done.complete


@pytest.mark.parametrize("how", ["SIGTERM", "cancel"])
def test_a_run_that_is_cancelled_while_it_waits_is_not_completed(how: str, workspace: Path) -> None:
    with (
        ModelServer([start("sleep 300; true", tty=True), Turn(text="done")]) as server,
        running(server, workspace, "--tools", "exec_command", format="openai-responses") as run,
    ):
        run.until("notice", code="background_awaited")
        if how == "SIGTERM":
            run.process.send_signal(signal.SIGTERM)
        else:
            run.say(action="cancel")
        done = run.end()
    assert done.complete["status"] == "cancelled" and done.complete["output"] == "done"
    assert commands(done.complete["ended"]) == ["sleep 300; true"] and done.complete["left"] == []
