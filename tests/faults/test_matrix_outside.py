"""Every way to interfere with a run from outside, in every state of its loop, in three wire formats."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.testing import runtime
from agent_runtime.testing.model_server import Call, Fault, ModelServer, Turn
from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.runtime import Json, Result
from tests.cli.standby.conftest import Running
from tests.faults.standby_runs import IDLE, StandbyRun, pause, request_for, resumed
from tests.faults.states import in_turn
from tests.support.runs import bash
from tests.support.waiting import until

WAITS = bash("until [ -e go ]; do sleep 0.02; done")
SILENT = Turn(fault=Fault(black_hole=True))


@dataclass(frozen=True)
class State:
    """Where a run is held: its script, what shows that it is there, and how many calls have a result then."""

    script: list[Turn]
    there: Callable[[StandbyRun, ModelServer], object]
    results: list[str] = field(default_factory=list)
    fields: Json = field(default_factory=dict)


def asked(times: int) -> Callable[[StandbyRun, ModelServer], object]:
    return lambda _, server: until(lambda: len(server.requests) == times)


def paused(trial: StandbyRun, _: ModelServer) -> None:
    trial.until("tool_call")
    pause(trial)
    (trial.workspace / "go").touch()
    trial.until("tool_result")


STATES = {
    "first-call": State([SILENT], asked(1)),
    "between-tools": State([bash("echo one"), SILENT], asked(2), ["completed"]),
    "in-the-stream": State(
        [Turn(text="said before " * 3, fault=Fault(hang_after=4))],
        lambda trial, _: trial.until("text_delta"),
        fields={"partial": True},
    ),
    "in-a-tool": State(
        [bash(f"touch here; {IDLE} & {IDLE}")],
        lambda trial, _: until((trial.workspace / "here").exists),
        ["cancelled"],
    ),
    "asking": State(
        [Turn(calls=[Call("ask_user", {"question": "Which?"})]), SILENT],
        lambda trial, _: trial.until("question"),
        ["cancelled"],
        {"askUser": True},
    ),
    "in-a-retry-wait": State(
        [Turn(fault=Fault(429, {"retry-after": "50"}))], lambda trial, _: trial.until("error")
    ),
    "paused": State([WAITS, SILENT], paused, ["completed"]),
    "with-a-server": State([bash(f"{IDLE} & setsid {IDLE} & echo left"), SILENT], asked(2), ["completed"]),
    "with-a-thread": State([bash("echo one"), SILENT], asked(2), ["completed"], {"threadId": "t"}),
}


def cancel(trial: StandbyRun) -> None:
    trial.say(action="cancel")


def send(number: signal.Signals) -> Callable[[StandbyRun], None]:
    return lambda trial: trial.signal(number)


WAYS: dict[str, tuple[Callable[[StandbyRun], None], int]] = {
    "SIGINT": (send(signal.SIGINT), 130),
    "SIGTERM": (send(signal.SIGTERM), 143),
    "SIGHUP": (send(signal.SIGHUP), 143),
    "SIGQUIT": (send(signal.SIGQUIT), 143),
    "SIGXCPU": (send(signal.SIGXCPU), 143),
    "cancel": (cancel, 130),
}


EACH: list[tuple[str, WireFormat]] = [(state, format) for _, state, format in in_turn([""], STATES)]
in_each_state = pytest.mark.parametrize(("state", "format"), EACH)
not_asking = pytest.mark.parametrize(("state", "format"), [each for each in EACH if each[0] != "asking"])


@pytest.mark.parametrize(
    ("way", "state", "format"), in_turn([way for way in WAYS if way != "cancel"], STATES)
)
def test_a_signal_ends_the_run_in_every_state(
    way: str, state: str, format: WireFormat, standby: Running, tmp_path: Path
) -> None:
    ends(way, state, format, standby, tmp_path)


@pytest.mark.timed
@in_each_state
def test_a_cancel_ends_the_run_within_three_seconds_in_every_state(
    state: str, format: WireFormat, standby: Running, tmp_path: Path
) -> None:
    assert ends("cancel", state, format, standby, tmp_path) < 3


def ends(way: str, state: str, format: WireFormat, standby: Running, tmp_path: Path) -> float:
    """Interfere with a run, and check how it ends. Returns the seconds from there to its end."""
    act, code = WAYS[way]
    with held(state, format, standby, tmp_path) as (trial, _):
        began = time.monotonic()
        act(trial)
        done = trial.end()
        seconds = time.monotonic() - began
    assert (done.code, done.complete["status"], done.complete["stopReason"]) == (
        code,
        "cancelled",
        "cancelled",
    )
    check(done, state, trial)
    if state == "with-a-thread":
        assert "one" in json.dumps(resumed(standby, format, "t", tmp_path))
    return seconds


def test_a_timeout_ends_the_run_in_every_state(standby: Running, tmp_path: Path) -> None:
    """All at the same time. One that has not come to its state within the timeout ends earlier in the loop."""
    with ExitStack() as servers:
        trials: dict[str, StandbyRun] = {}
        for state, format in EACH:
            if state != "asking":  # the clock stands still
                server = servers.enter_context(ModelServer(STATES[state].script))
                request = request_for(format, **STATES[state].fields, config={"timeout": 3})
                (folder := tmp_path / state).mkdir()
                trials[state] = StandbyRun(standby, request, server.environ(format), folder)
        for state, trial in trials.items():
            done = trial.end()
            assert (done.code, done.complete["stopReason"]) == (3, "timeout"), state
            assert done.of("error")[-1]["code"] == done.complete["error"]["code"] == "timeout"
            trial.until_none_lives()


@not_asking  # nobody can answer any more
def test_a_closed_stdout_ends_the_run_in_every_state(
    state: str, format: WireFormat, standby: Running, tmp_path: Path
) -> None:
    transcript = tmp_path / "transcript.ndjson"
    with held(state, format, standby, tmp_path, record=str(transcript)) as (trial, _):
        trial.hang_up()
    trial.until_none_lives()
    records = [json.loads(line) for line in transcript.read_text().splitlines()]
    assert (records[-1]["kind"], records[-1]["exitCode"]) == ("end", 74)
    events = [record["event"] for record in records if record["kind"] == "event"]
    runtime.check(events, 74)
    check(Result(events, 74, ""), state, trial)


NONSENSE = [
    b"nonsense",
    b'{"action": "explode"}',
    b"[]",
    b"\xff\xfe",
    b'{"action": "input"}',
    b'{"action": "answer", "text": "x"}',
    b'{"action": "answer", "id": "none", "text": "x"}',
    b'{"action": "cancel"',
    b"9" * 9000,
]


@in_each_state
def test_malformed_control_lines_change_nothing_in_any_state(
    state: str, format: WireFormat, standby: Running, tmp_path: Path
) -> None:
    with held(state, format, standby, tmp_path) as (trial, server):
        before = len(server.requests)
        trial.write(b"\n".join(NONSENSE) + b"\n")
        errors = [trial.until("error") for _ in NONSENSE]
        assert {event["code"] for event in errors} == {"invalid_request"}
        assert len(server.requests) == before
        trial.say(action="cancel")
        done = trial.end()
    assert done.code == 130
    check(done, state, trial)


@contextmanager
def held(
    state: str, format: WireFormat, standby: Running, folder: Path, **fields: Any
) -> Iterator[tuple[StandbyRun, ModelServer]]:
    """A run that is in the state, and stays there."""
    where = STATES[state]
    with ModelServer(where.script) as server:
        trial = StandbyRun(
            standby, request_for(format, **where.fields, **fields), server.environ(format), folder
        )
        where.there(trial, server)
        yield trial, server
        assert server.violations == []


def check(done: Result, state: str, trial: StandbyRun) -> None:
    """Its results are reported, and no process that it started is left."""
    assert [event["outcome"] for event in done.of("tool_result")] == STATES[state].results
    trial.until_none_lives()
