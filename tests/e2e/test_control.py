"""Cancelling, user input, pausing, signals and lost readers, at each step of the loop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.testing.model_server import Call, Fault, ModelServer, Request, Turn
from agent_runtime.testing.runtime import COMMAND, catches, full, result
from tests.support.followed import running
from tests.support.runs import bash, start_run
from tests.support.waiting import until

HANG = "sleep 300 & sleep 300"
UNTIL_GO = "until [ -e go ]; do sleep 0.02; done"
Event = dict[str, Any]


# the state of the loop -> its script, and the event after which the run is in it
STATES: dict[str, tuple[list[Turn], str]] = {
    "model": ([Turn(fault=Fault(black_hole=True))], "start"),
    "stream": ([Turn(text="abc" * 10, fault=Fault(hang_after=4))], "start"),
    "retry": ([Turn(fault=Fault(429, {"retry-after": "50"}))], "error"),
    "tool": ([bash(HANG)], "tool_call"),
}


@pytest.mark.timed
@pytest.mark.parametrize(
    ("state", "how"),
    [
        *[("model", "SIGINT"), ("stream", "SIGTERM"), ("retry", "control")],
        *[("tool", how) for how in ("SIGINT", "SIGTERM", "control")],
    ],
)
def test_a_cancel_ends_the_run_in_every_state(state: str, how: str, workspace: Path) -> None:
    script, event = STATES[state]
    with ModelServer(script) as server, running(server, workspace) as run:
        run.until(event)
        if state in ("model", "stream"):
            until(lambda: bool(server.requests))
        started = time.monotonic()
        if how == "control":
            run.say(action="cancel")
        else:
            run.process.send_signal(getattr(signal, how))
        done = run.end()
        assert time.monotonic() - started < 3
    assert done.code == {"SIGINT": 130, "SIGTERM": 143, "control": 130}[how]
    assert (done.complete["status"], done.complete["stopReason"]) == ("cancelled", "cancelled")
    assert [each["outcome"] for each in done.of("tool_result")] == (["cancelled"] if state == "tool" else [])
    assert not processes_named("sleep 300", workspace)


def processes_named(command: str, workspace: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if line.startswith(command) and (entry / "cwd").readlink() == workspace:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_the_output_of_a_cancelled_command_is_reported(workspace: Path) -> None:
    with (
        ModelServer([bash("echo before; touch here; sleep 300")]) as server,
        running(server, workspace) as run,
    ):
        until(lambda: (workspace / "here").exists())
        run.say(action="cancel")
        done = run.end()
    (answer,) = done.of("tool_result")
    assert answer["outcome"] == "cancelled" and "before" in answer["output"]
    assert done.complete["files"] == [str(workspace / "here")]


def test_the_timeout_of_the_run_ends_it_with_exit_status_3(workspace: Path) -> None:
    script = [bash("touch here; sleep 300")]
    with ModelServer(script) as server, running(server, workspace, "--timeout", "2") as run:
        done = run.end()
    assert (done.code, done.complete["stopReason"], done.complete["error"]["code"]) == (
        3,
        "timeout",
        "timeout",
    )
    # the command has started, unless the machine was very busy
    assert done.complete["files"] == [str(path) for path in workspace.iterdir()]


def test_steering_is_delivered_and_keeps_a_finished_run_going(workspace: Path) -> None:
    def answer(request: Request) -> Turn:
        run.say(action="input", text="and another thing")
        run.wait_until_read()
        return Turn(text="first")

    with ModelServer([answer, Turn(text="second")]) as server, running(server, workspace) as run:
        done = run.end()
    assert server.violations == []
    assert (done.code, done.complete["output"], done.complete["iterations"]) == (0, "second", 2)
    assert [each["content"] for each in done.of("thinking")] == ["first"]
    assert "and another thing" in json.dumps(server.bodies[1]["messages"][-1])


def test_pause_holds_the_next_step_until_resume(workspace: Path) -> None:
    script = [bash(UNTIL_GO), bash("touch two"), Turn(text="ok")]
    with ModelServer(script) as server, running(server, workspace) as run:
        run.until("tool_call")
        run.say(action="pause")
        run.wait_until_read()
        (workspace / "go").touch()
        run.until("tool_result")
        for _ in range(10):  # a run that does not pause has sent its next request by now
            run.wait_until_read()
        assert len(server.requests) == 1
        run.say(action="resume")
        done = run.end()
    assert done.code == 0 and len(server.requests) == 3


def test_a_malformed_control_line_changes_nothing(workspace: Path) -> None:
    with ModelServer([bash(UNTIL_GO), Turn(text="ok")]) as server, running(server, workspace) as run:
        assert run.process.stdin
        run.until("tool_call")
        run.process.stdin.write(b"nonsense\n")
        run.say(action="explode")
        run.until("error", number=2)
        (workspace / "go").touch()
        run.process.stdin.close()
        run.process.stdin = None
        done = run.end()
    assert done.code == 0
    assert [error["code"] for error in done.of("error")] == ["invalid_request"] * 2


@pytest.mark.parametrize("state", ["model", "tool"])
def test_a_closed_stdout_ends_the_run(state: str, workspace: Path, tmp_path: Path) -> None:
    script, _ = STATES[state]
    reader, writer = os.pipe()
    transcript = tmp_path / "transcript.ndjson"
    with ModelServer(script) as server:
        process = start_run(server, workspace, "--prompt", "x", "--record", str(transcript), stdout=writer)
        os.close(writer)
        with process:
            assert b'"start"' in os.read(reader, 100)
            until(lambda: bool(server.requests))
            os.close(reader)
            assert process.wait(60) == 74
            assert process.stderr and b"Traceback" not in process.stderr.read()
    assert not processes_named("sleep 300", workspace)
    records = [json.loads(line) for line in transcript.read_text().splitlines()]
    assert records[-1]["kind"] == "end" and records[-1]["exitCode"] == 74
    kinds = [record["event"]["type"] for record in records if record["kind"] == "event"]
    assert kinds[0] == "start" and kinds[-1] == "complete"


def test_a_reader_that_has_stopped_reading_does_not_hold_up_a_cancel(workspace: Path) -> None:
    reader, writer = os.pipe()
    with ModelServer([Turn(text="x" * 400_000, calls=[Call("bash", {"command": "true"})])]) as server:
        process = start_run(server, workspace, "--prompt", "x", stdout=writer, stderr=subprocess.DEVNULL)
        os.close(writer)
        with process:
            until(lambda: full(reader))
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 143
    os.close(reader)


def test_a_signal_before_the_request_ends_the_program(workspace: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "run"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=workspace,
    )
    with process:
        until(lambda: catches(process.pid, signal.SIGTERM))
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    (complete,) = map(json.loads, stdout.splitlines())
    assert (process.returncode, complete["type"], complete["status"]) == (130, "complete", "cancelled"), (
        stderr
    )


def test_a_signal_while_the_request_is_being_read_ends_the_program(workspace: Path) -> None:
    """It was there before the signal: the run has its `start`."""
    with ModelServer([Turn(fault=Fault(black_hole=True))]) as server:
        process = start_run(server, workspace, stdin=subprocess.PIPE)
        with process:
            assert process.stdin
            process.stdin.write(b'{"prompt": "x"}')
            process.stdin.flush()
            until(lambda: catches(process.pid, signal.SIGTERM))
            process.send_signal(signal.SIGTERM)
            stdout, stderr = process.communicate(timeout=60)
    done = result(stdout, process.returncode, stderr)
    assert (done.code, [event["type"] for event in done.events]) == (143, ["start", "complete"])


@pytest.mark.timed
def test_a_second_signal_kills_at_once_and_leaves_nothing(workspace: Path) -> None:
    child = "trap 'touch stopping' TERM; sleep 300 & touch up; while :; do wait; done"
    stubborn = f"trap '' TERM INT; ({child}) & sleep 300; sleep 300"
    with ModelServer([bash(stubborn)]) as server, running(server, workspace) as run:
        until(lambda: (workspace / "up").exists())
        run.process.send_signal(signal.SIGTERM)
        until(lambda: (workspace / "stopping").exists())  # two signals at the same moment are one
        run.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        done = run.end()
        assert time.monotonic() - started < 1.5
    # its last events are complete nevertheless
    assert (done.code, done.complete["status"]) == (143, "cancelled")
    until(lambda: not processes_named("sleep 300", workspace))
