"""Freezing a run for a snapshot and thawing it, in each state of the loop."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agent_runtime.testing.model_server import Call, Fault, ModelServer, Request, Turn
from tests.support.followed import Running, running
from tests.support.runs import bash
from tests.support.waiting import until

Event = dict[str, Any]
LIMIT = 4  # seconds that a run, and its call, may take
DONE = Turn(text="done")
UNTIL_GO = "until [ -e go ]; do sleep 0.02; done; echo x >>steps"
ASKS = Turn(calls=[Call("ask_user", {"question": "which?"})])

# the state of the loop -> its script, the event after which the run is in it, what is named as under way
STATES: dict[str, tuple[list[Turn], str, list[str]]] = {
    "model": ([Turn(fault=Fault(black_hole=True)), DONE], "start", []),
    "stream": ([Turn(text="abc" * 10, fault=Fault(hang_after=4)), DONE], "start", []),
    "retry": ([Turn(fault=Fault(429, {"retry-after": "2"})), DONE], "error", []),
    "tool": ([bash(UNTIL_GO), DONE], "tool_call", ["bash"]),
    "paused": ([bash(UNTIL_GO), DONE], "tool_call", []),
    "question": ([ASKS, DONE], "question", ["ask_user"]),
}


def freeze(run: Running, how: str) -> Event:
    if how == "signal":
        run.process.send_signal(signal.SIGUSR1)
    else:
        run.say(action="freeze")
    return run.until("notice", code="frozen")


def in_state(run: Running, state: str, server: ModelServer, workspace: Path) -> None:
    run.until(STATES[state][1])
    if state in ("model", "stream"):
        until(lambda: bool(server.requests))
    if state == "paused":
        run.say(action="pause")
        run.wait_until_read()
        (workspace / "go").touch()
        run.until("tool_result")


@pytest.mark.parametrize("state", STATES)
def test_a_frozen_run_is_silent_and_goes_on_as_a_fork(state: str, workspace: Path) -> None:
    script, _, under_way = STATES[state]
    request = {"prompt": "go", "askUser": True, "env": {"WHO": "before"}}
    is_thawed = threading.Event()

    def last(_: Request) -> Turn:
        """Hold the answer until the run is thawed: it may be asked for before the freeze."""
        assert is_thawed.wait(60)
        return DONE

    with (
        ModelServer([*script[:-1], last], repeat_last=True) as server,
        running(server, workspace, request=request) as run,
    ):
        in_state(run, state, server, workspace)
        notice = freeze(run, "control")
        (workspace / "go").touch()  # what runs in a tool goes on until the machine stops
        if state == "question":
            run.say(action="answer", id=run.until("question")["id"], text="this")
        if state == "tool":
            until((workspace / "steps").exists)
        requests = len(server.requests)
        run.say(action="explode")
        run.until_invalid("action")  # the only line after the notice
        run.say(action="thaw", runId="run_fork", sandboxId="sb-fork", env={"WHO": "after"})
        run.until("notice", code="thawed")
        is_thawed.set()
        run.say(action="resume")
        done = run.end()
    assert [call["tool"] for call in notice["details"]["inFlight"] if "tool" in call] == under_way
    at = done.events.index(notice)
    after = [event["type"] for event in done.events[at + 1 : at + 3]]
    assert after == ["error", "notice"]
    thawed = done.events[at + 2]
    assert thawed["details"].items() >= {"runId": "run_fork", "previousRunId": notice["runId"]}.items()
    assert {event["runId"] for event in done.events[at + 2 :]} == {"run_fork"}
    assert {event["runId"] for event in done.events[: at + 2]} == {notice["runId"]}
    assert (done.code, done.complete["output"]) == (0, "done")
    assert (done.complete["runId"], done.complete["sandboxId"]) == ("run_fork", "sb-fork")
    assert server.violations == []
    # if the freeze came late, the attempt after the wait is dropped and repeated
    assert len(server.requests) == len(script) or (state, requests) == ("retry", 2)
    if state in ("tool", "paused"):
        assert (workspace / "steps").read_text() == "x\n"


def test_signals_freeze_and_thaw_too(workspace: Path) -> None:
    with ModelServer([bash(UNTIL_GO), DONE]) as server, running(server, workspace) as run:
        run.until("tool_call")
        notice = freeze(run, "signal")
        run.process.send_signal(signal.SIGUSR2)
        run.until("notice", code="thawed")
        (workspace / "go").touch()
        done = run.end()
    assert [each["code"] for each in done.of("notice")] == ["frozen", "thawed"]
    assert (done.code, done.complete["runId"], (workspace / "steps").read_text()) == (
        0,
        notice["runId"],
        "x\n",
    )


@pytest.mark.parametrize("by", ["variable", "descriptor"])
def test_a_fork_has_its_own_variables_key_and_connections(by: str, workspace: Path) -> None:
    reads, writes = os.pipe()  # the launcher writes the key of the fork when it thaws the run
    key = "sk-ant-of-the-fork-0123456789"
    first = "export MINE=kept; touch started; until [ -e go ]; do sleep 0.02; done; cd /"
    script = [bash(first), bash("echo $MINE $WHO $AGENT_RUNTIME_RUN_ID $PWD; env"), DONE]
    request = {"prompt": "go", "env": {"WHO": "before"}}
    given = {"variable": {"ANTHROPIC_API_KEY": key}, "descriptor": {"ANTHROPIC_API_KEY_FD": str(reads)}}[by]
    with (
        ModelServer(script) as server,
        running(server, workspace, request=request, descriptors=[reads]) as run,
        os.fdopen(reads),
        os.fdopen(writes, "w") as pipe,
    ):
        until((workspace / "started").exists)
        freeze(run, "control")
        pipe.write(key + "\n")
        pipe.flush()
        run.say(action="thaw", runId="run_fork", env=given | {"WHO": "it's\nafter"})
        run.until("notice", code="thawed")
        (workspace / "go").touch()
        done = run.end()
    output = done.of("tool_result")[1]["output"]
    assert "kept it's after run_fork /" in output
    assert "ANTHROPIC_API_KEY" not in output and key not in json.dumps(done.events)
    keys = [request.headers["x-api-key"] for request in server.requests]
    assert keys[0] != key and keys[-1] == key


@pytest.mark.parametrize(
    ("how", "state"), [("control", "model"), ("SIGTERM", "tool"), ("control", "question")]
)
def test_a_frozen_run_can_be_cancelled(how: str, state: str, workspace: Path) -> None:
    request = {"prompt": "go", "askUser": True}
    with ModelServer(STATES[state][0]) as server, running(server, workspace, request=request) as run:
        in_state(run, state, server, workspace)
        freeze(run, "control")
        if how == "control":
            run.say(action="cancel")
        else:
            run.process.send_signal(signal.SIGTERM)
        done = run.end()
    assert done.complete["stopReason"] == "cancelled"


@pytest.mark.timed
def test_deadlines_stand_while_the_run_is_frozen(workspace: Path) -> None:
    script = [bash(UNTIL_GO, timeout=LIMIT), DONE]
    with ModelServer(script) as server, running(server, workspace, "--timeout", str(LIMIT)) as run:
        run.until("tool_call")
        freeze(run, "control")
        run.process.send_signal(signal.SIGSTOP)
        time.sleep(LIMIT + 0.5)
        run.process.send_signal(signal.SIGCONT)
        run.say(action="thaw")
        run.until("notice", code="thawed")
        (workspace / "go").touch()
        done = run.end()
    assert [each["outcome"] for each in done.of("tool_result")] == ["completed"]
    notices = {each["code"]: each for each in done.of("notice")}  # and `limit_near` on a busy machine
    assert done.code == 0 and notices.keys() >= {"frozen", "thawed"}
    assert notices["thawed"]["details"]["seconds"] >= LIMIT


def test_an_invalid_thaw_changes_nothing(workspace: Path) -> None:
    with ModelServer([bash(UNTIL_GO), DONE]) as server, running(server, workspace) as run:
        run.until("tool_call")
        notice = freeze(run, "control")
        run.say(action="thaw", runId="two words", env={"A": "1"})
        error = run.until_invalid("runId")
        run.say(action="thaw")
        run.until("notice", code="thawed")
        (workspace / "go").touch()
        done = run.end()
    assert error["code"] == "invalid_request"
    assert {event["runId"] for event in done.events} == {notice["runId"]}


def test_each_request_has_one_answer_in_order(workspace: Path) -> None:
    actions = ("freeze", "freeze", "thaw", "thaw", "freeze", "thaw")
    with ModelServer([bash(UNTIL_GO), DONE]) as server, running(server, workspace) as run:
        run.until("tool_call")
        for action in actions:
            run.say(action=action)
        run.until("notice", number=len(actions))
        (workspace / "go").touch()
        done = run.end()
    codes = [each["code"] for each in done.of("notice")]
    assert codes == ["frozen", "frozen", "thawed", "thawed", "frozen", "thawed"]
    assert done.code == 0


FREEZES = int(os.environ.get("AGENT_RUNTIME_FREEZES", "8"))
TURNS, CALLS = 20, 4 if FREEZES > 20 else 1


def turn(number: int) -> list[Turn]:
    """A step with a slow stream, a tool that takes a moment, and at times a provider that refuses first."""
    step = Turn(
        text="next",
        calls=[
            Call("bash", {"command": f"echo {number}.{part} >>steps; sleep 0.{part % 2}"})
            for part in range(CALLS)
        ],
        fault=Fault(slow=0.01 * (number % 3)),
    )
    return [Turn(fault=Fault(429, {"retry-after": "0.2"})), step] if number % 7 == 3 else [step]


def test_freezes_at_random_moments_lose_and_repeat_nothing(workspace: Path) -> None:
    """Each turn is given again when the connection was dropped: the request says which one is next.

    The last answer is held until all freezes are over.
    """
    random = Random(FREEZES)
    script = {number: turn(number) for number in range(TURNS)}
    is_over = threading.Event()

    def answer(request: Request) -> Turn:
        step = json.dumps(request.body["messages"]).count('"tool_result"') // CALLS
        if step == TURNS:
            assert is_over.wait(120)
            return DONE
        return script[step].pop(0) if len(script[step]) > 1 else script[step][0]

    renewed = 0
    options = ("--max-turns", "40", "--partial")
    with ModelServer([answer], repeat_last=True) as server, running(server, workspace, *options) as run:
        run.until("start")
        for number in range(FREEZES):
            time.sleep(random.uniform(0, 2 / FREEZES))
            before = len(run.events)
            run.say(action="freeze")
            run.next_notice("frozen", before)
            if number % 3 == 0:  # the machine stops and starts
                run.process.send_signal(signal.SIGSTOP)
                run.process.send_signal(signal.SIGCONT)
            run.say(action="thaw", runId=f"run_{number}")
            renewed += 1
        is_over.set()
        done = run.end(120)
    assert (done.code, renewed) == (0, FREEZES)
    expected = [f"{number}.{part}" for number in range(TURNS) for part in range(CALLS)]
    assert (workspace / "steps").read_text().split() == expected
    assert len(done.of("tool_result")) == len(expected) and len(done.of("usage")) == TURNS + 1
    assert {each["outcome"] for each in done.of("tool_result")} == {"completed"}
    assert [each["code"] for each in done.of("notice")] == ["frozen", "thawed"] * renewed
    assert done.complete["runId"] == f"run_{renewed - 1}"
    assert server.violations == []
