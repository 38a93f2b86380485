"""Faults of MCP servers in every state of the loop, in three wire formats; and their ends with a cancelled run."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.testing.model_server import Call, ModelServer, Turn
from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.runtime import Result
from tests.cli.standby.conftest import Running
from tests.faults.standby_runs import StandbyRun, kill
from tests.faults.states import STATES, in_turn, take
from tests.mcp.conftest import faulty
from tests.support.runs import bash
from tests.support.waiting import until

USER = "games"


@dataclass(frozen=True)
class Case:
    """A call, and how its result must be reported."""

    tool: str
    outcome: str
    says: str
    input: dict[str, Any] | None = None


CASES = {
    "dies": Case("die", "failed", "exit status 9"),
    "hangs": Case("sleep", "timed_out", "has not answered within 0.3 s"),
    "floods": Case("flood", "failed", "ended during this call"),
    "wrong-ids": Case("wrong_ids", "completed", "right"),
    "no-result": Case("no_object", "failed", "not a valid JSON-RPC response"),
    "prints-much": Case("big", "completed", "cut here"),
}


def mcp(tool: str, **arguments: Any) -> Turn:
    return Turn(calls=[Call(f"mcp__s__{tool}", arguments)])


@pytest.mark.parametrize(("name", "state", "format"), in_turn(CASES, STATES))
def test_a_server_fault_is_survived_in_every_state(
    name: str, state: str, format: WireFormat, standby: Running, tmp_path: Path
) -> None:
    case = CASES[name]
    # the time limit holds for every call of a server, so the calls after the one that hangs go to another server
    hangs = case.outcome == "timed_out"
    echo = Turn(calls=[Call("mcp__t__echo" if hangs else "mcp__s__echo", {"text": "still here"})])
    script = [mcp(case.tool, **(case.input or {})), echo, bash("echo too")]
    servers = {"s": faulty("banner", **({"timeout": 0.3} if hangs else {})), "gone": faulty("exits")}
    if hangs:
        servers["t"] = faulty("banner")
    trial, done = take(state, [*script, Turn(text="done")], format, standby, tmp_path, mcpServers=servers)
    *_, broken, next_one, last = done.of("tool_result")
    assert (broken["outcome"], broken["isError"]) == (case.outcome, case.outcome != "completed"), broken
    assert case.says in broken["output"]
    assert (next_one["outcome"], next_one["output"]) == ("completed", "still here")
    assert last["output"].strip() == "too"
    assert (done.code, done.complete["output"]) == (0, "done")
    expected = 2 if state == "with-a-server" else 0  # the server of the shell, and the writer of its log
    until(lambda: len(trial.started()) == expected)
    kill(trial.started())


@pytest.mark.timed
def test_a_cancelled_run_ends_the_whole_tree_of_its_servers(standby: Running, tmp_path: Path) -> None:
    """In three seconds: a server that ignores SIGTERM and does not exit, and its children in sessions of their own."""
    script = [mcp("leave_children"), mcp("sleep")]
    servers = {"s": faulty("stubborn"), "t": faulty("stubborn")}
    with ModelServer(script) as server:
        trial = StandbyRun(standby, {"mcpServers": servers}, server.environ("anthropic"), tmp_path)
        children = [int(pid) for pid in trial.until("tool_result")["output"].split()]
        trial.until("tool_call")
        assert all(Path(f"/proc/{pid}").exists() for pid in children) and len(trial.started()) >= 3
        started = time.monotonic()
        trial.say(action="cancel")
        done = trial.end()
        assert time.monotonic() - started < 3
    assert (done.complete["status"], done.of("tool_result")[-1]["outcome"]) == ("cancelled", "cancelled")
    trial.until_none_lives()
    until(lambda: not [pid for pid in children if Path(f"/proc/{pid}/exe").exists()])


@pytest.mark.timed
def test_a_run_that_is_cancelled_while_servers_start_ends_them(standby: Running, tmp_path: Path) -> None:
    with ModelServer([]) as server:
        request = {"mcpServers": {"s": faulty("silent", "stubborn")}}
        trial = StandbyRun(standby, request, server.environ("anthropic"), tmp_path)
        trial.until("start")
        until(trial.started)
        started = time.monotonic()
        trial.say(action="cancel")
        done = trial.end()
        assert time.monotonic() - started < 3
    assert done.complete["status"] == "cancelled"
    trial.until_none_lives()


def test_servers_end_with_the_run(standby: Running, tmp_path: Path) -> None:
    done, trial = run(standby, tmp_path, [mcp("leave_children")], {"s": faulty("stubborn")})
    children = [int(pid) for pid in done.of("tool_result")[0]["output"].split()]
    trial.until_none_lives()
    until(lambda: not [pid for pid in children if Path(f"/proc/{pid}/exe").exists()])
    assert done.complete["left"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run tools as another user")
def test_servers_run_as_the_user_of_the_tools(standby: Running, tmp_path: Path) -> None:
    servers = {"s": {"command": "bash", "args": ["-c", "id -un >&2; exit 1"]}}
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(0o755)
    done, _ = run(standby, tmp_path, [], servers, toolUser=USER)
    assert USER in done.of("notice")[0]["message"]


def run(
    standby: Running, folder: Path, script: list[Turn], servers: dict[str, Any], **fields: Any
) -> tuple[Result, StandbyRun]:
    with ModelServer([*script, Turn(text="done")]) as server:
        request = {"mcpServers": servers, **fields}
        trial = StandbyRun(standby, request, server.environ("anthropic"), folder)
        return trial.end(), trial
