"""Every fault of a tool, and every limit, in every state of the loop, in three wire formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import Call, Turn
from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.runtime import Json
from tests.cli.standby.conftest import Running
from tests.faults.standby_runs import IDLE, kill
from tests.faults.states import STATES, in_turn, take
from tests.support.runs import bash
from tests.support.waiting import until


@dataclass(frozen=True)
class Case:
    """A call that fails, and how the failure must be reported."""

    call: Call
    outcome: str
    code: int | None
    says: str


def sh(command: str, **more: object) -> Call:
    return Call("bash", {"command": command} | more)


CASES = {
    "fails": Case(sh("echo why >&2; exit_code() { return 3; }; exit_code"), "failed", 3, "why"),
    "times-out": Case(sh(f"{IDLE} & {IDLE}", timeout=0.3), "timed_out", None, "timed out after 0.3 s"),
    "exits-the-shell": Case(sh("echo leaving; exit 7"), "failed", 7, "leaving"),
    "kills-the-shell": Case(sh("echo last; kill -9 $$"), "failed", 137, "last"),
    "kills-all-it-may": Case(sh(f"{IDLE} & kill -TERM 0; sleep 1"), "failed", 143, "the shell ended"),
    "floods": Case(sh("yes | head -c 3000000"), "completed", 0, "y"),
    "unknown-tool": Case(Call("no_such_tool", {"x": 1}), "failed", None, "There is no tool named"),
    "wrong-arguments": Case(Call("bash", {"cmd": "ls"}), "failed", None, "command"),
    "no-json": Case(Call("bash", '{"command": '), "failed", None, "not a JSON object"),
}


@pytest.mark.parametrize(("name", "state", "format"), in_turn(CASES, STATES))
def test_a_tool_fault_is_survived_in_every_state(
    name: str, state: str, format: WireFormat, standby: Running, tmp_path: Path
) -> None:
    case = CASES[name]
    after = [Turn(calls=[case.call]), bash("echo still here"), Turn(text="done")]
    trial, done = take(state, after, format, standby, tmp_path)
    *_, faulty, next_one = done.of("tool_result")
    assert (faulty["outcome"], faulty.get("exitCode")) == (case.outcome, case.code)
    assert case.says in faulty["output"]
    assert faulty["isError"] == (case.outcome != "completed")
    assert (next_one["outcome"], next_one["output"].strip()[:10]) == ("completed", "still here")
    assert (done.code, done.complete["output"]) == (0, "done")
    # the server and the writer of its log; no other call ends them
    expected = 2 if state == "with-a-server" else 0
    until(lambda: len(trial.started()) == expected)  # a process during execve cannot be recognized
    left = trial.started()
    kill(left)


@dataclass(frozen=True)
class Limit:
    """What ends a run at a limit: its config, the turn that meets it, the stop reason."""

    config: Json
    turn: Turn
    stop: str


LIMITS = {
    "max-turns": Limit({"maxTurns": 1}, bash("echo more"), "max_turns"),
    "max-total-tokens": Limit({"maxTotalTokens": 1}, bash("echo more"), "max_total_tokens"),
    "max-tokens": Limit({}, Turn(text="cut off he", stop="max_tokens"), "max_tokens"),
    "refusal": Limit({}, Turn(text="I will not", stop="refusal"), "refusal"),
}


@pytest.mark.parametrize(("name", "state", "format"), in_turn(LIMITS, STATES))
def test_each_limit_ends_the_run_in_every_state(
    name: str, state: str, format: WireFormat, standby: Running, tmp_path: Path
) -> None:
    limit = LIMITS[name]
    turns = sum(turn.fault is None for turn in STATES[state]) + 1
    config = dict(limit.config)
    if "maxTurns" in config:
        config["maxTurns"] = turns
    if "maxTotalTokens" in config:
        config["maxTotalTokens"] = turns * 120
    trial, done = take(state, [limit.turn], format, standby, tmp_path, config=config)
    assert (done.complete["stopReason"], done.complete["error"]["code"]) == (limit.stop, limit.stop)
    assert (done.code, done.complete["iterations"]) == (1 if name == "refusal" else 3, turns)
    kill(trial.started())
