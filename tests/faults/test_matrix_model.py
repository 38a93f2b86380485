"""Every fault of the model's side, in every state of the loop, in three wire formats.

A fault that may pass occurs once and the run recovers; a final one ends it at once. Each provider's message contains
the key, as those of some do.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import Fault, ModelServer, Turn
from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.runtime import Json, Result
from tests.cli.standby.conftest import Running
from tests.faults.standby_runs import StandbyRun, kill, request_for
from tests.faults.states import NOW, STATES, WORDS, in_turn, take
from tests.support.formats import FORMATS
from tests.support.waiting import until


@dataclass(frozen=True)
class Case:
    """A fault, the code it must have, and whether it is worth another attempt."""

    fault: Fault
    code: str
    passes: bool
    config: Json = field(default_factory=dict)


def status(number: int, code: str, *, passes: bool, kind: str = "scripted", words: str = WORDS) -> Case:
    return Case(Fault(number, NOW, message=words, code=kind), code, passes)


SOON = {"modelTimeout": 0.7}
CASES = {
    "400": status(400, "provider_error", passes=False, kind="invalid_request_error"),
    "401": status(401, "authentication_error", passes=False),
    "403": status(403, "permission_denied", passes=False),
    "404": status(404, "model_not_found", passes=False),
    "408": status(408, "provider_timeout", passes=True),
    "409": status(409, "provider_error", passes=True),
    "413": status(413, "context_overflow", passes=False),
    "too-long": status(400, "context_overflow", passes=False, words="prompt is too long: 9 > 8"),
    "429": status(429, "rate_limited", passes=True),
    "quota": status(429, "insufficient_quota", passes=False, kind="insufficient_quota"),
    "500": status(500, "provider_error", passes=True),
    "503": status(503, "overloaded", passes=True),
    "529": status(529, "overloaded", passes=True),
    "no-json": Case(Fault(502, body="<html>bad gateway</html>"), "provider_error", True),
    "page-for-a-stream": Case(Fault(200, body="<html>log in</html>"), "provider_error", True),
    "error-for-a-stream": Case(
        Fault(200, body='{"error": {"code": "insufficient_quota", "message": "spent"}}'),
        "insufficient_quota",
        False,
    ),
    "dropped": Case(Fault(drop=True), "provider_error", True),
    "cut-before": Case(Fault(cut_after=0), "provider_error", True),
    "cut-in-a-block": Case(Fault(cut_after=4), "provider_error", True),
    "garbage": Case(Fault(garbage=True), "provider_error", True),
    "error-in-stream": Case(Fault(error_in_stream=True, message=WORDS), "provider_error", True),
    "black-hole": Case(Fault(black_hole=True), "provider_timeout", True, SOON),
    "pings-only": Case(Fault(pings_only=True), "provider_timeout", True, SOON),
    "hang-in-a-block": Case(Fault(hang_after=4), "provider_timeout", True, SOON),
}


HANGS = [name for name, case in CASES.items() if case.config]


@pytest.mark.parametrize(
    ("name", "state", "format"), in_turn([name for name in CASES if name not in HANGS], STATES)
)
def test_a_passing_provider_fault_is_survived_in_every_state(
    name: str, state: str, format: WireFormat, standby: Running, tmp_path: Path
) -> None:
    case, before = CASES[name], STATES[state]
    faulty = Turn(text="never to be final", fault=case.fault)
    after = [faulty, Turn(text="recovered")] if case.passes else [faulty]
    trial, done = take(state, after, format, standby, tmp_path, config=case.config)
    check_end(done, case, before)
    # a run that was not cancelled leaves its server running; a process during execve cannot be recognized
    until(lambda: bool(trial.started()) == (state == "with-a-server"))
    kill(trial.started())


def test_a_provider_that_hangs_once_is_survived(standby: Running, tmp_path: Path) -> None:
    """All at the same time; the timeout is long enough for the answers of a busy machine."""
    with ExitStack() as servers:
        trials: list[tuple[StandbyRun, str, str]] = []
        for name, state, format in in_turn(HANGS, ("first-call", "between-tools", "after-text")):
            script = [
                *STATES[state],
                Turn(text="never to be final", fault=CASES[name].fault),
                Turn(text="recovered"),
            ]
            server = servers.enter_context(ModelServer(script))
            request = request_for(format, partial=True, config={"maxRetries": 2, "modelTimeout": 6})
            (folder := tmp_path / f"{name}-{state}").mkdir()
            trials.append((StandbyRun(standby, request, server.environ(format), folder), name, state))
        for trial, name, state in trials:
            check_end(trial.end(), CASES[name], STATES[state])


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.passes])
def test_a_lasting_provider_fault_ends_the_run_with_its_error(
    name: str, format: WireFormat, standby: Running, tmp_path: Path
) -> None:
    case = CASES[name]
    request = request_for(format, config={"maxRetries": 1} | case.config)
    with ModelServer([Turn(text="never to be final", fault=case.fault)], repeat_last=True) as server:
        done = StandbyRun(standby, request, server.environ(format), tmp_path).end()
        assert len(server.requests) == 2
    assert (done.code, done.complete["stopReason"], done.complete["output"]) == (1, "error", "")
    assert [(e["code"], e["retryable"], "retryInMs" in e) for e in done.of("error")] == [
        (case.code, True, True),
        (case.code, True, False),
    ]


@pytest.mark.parametrize("format", FORMATS)
def test_an_unreachable_provider_ends_the_run_with_an_error(
    format: WireFormat, standby: Running, tmp_path: Path
) -> None:
    # bound and not listening: connections are refused
    with ModelServer() as server, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        environ = server.environ(format) | {"ANTHROPIC_BASE_URL": url, "OPENAI_BASE_URL": f"{url}/v1"}
        done = StandbyRun(standby, request_for(format), environ, tmp_path).end()
    assert (done.code, [e["code"] for e in done.of("error")]) == (1, ["provider_error"] * 2)


def check_end(done: Result, case: Case, before: list[Turn]) -> None:
    errors = [e for e in done.of("error") if e["code"] != "invalid_request"]
    earlier = sum(turn.fault is not None for turn in before)
    assert [e["code"] for e in errors[earlier:]] == [case.code]
    error = errors[earlier]
    assert error["retryable"] == case.passes == ("retryInMs" in error)
    if case.fault.status and case.fault.body is None:
        assert error["details"]["requestId"] == "req_1" and error["details"]["status"] == case.fault.status
        assert ("[secret]" in error["message"]) == (case.fault.message == WORDS)
    results = sum(bool(turn.calls) for turn in before)
    assert len(done.of("tool_result")) == results  # no tool ran twice
    if case.passes:
        assert (done.code, done.complete["output"], done.complete["iterations"]) == (
            0,
            "recovered",
            results + 1,
        )
    else:
        stop = "context_overflow" if case.code == "context_overflow" else "error"
        assert (done.code, done.complete["stopReason"]) == (1, stop)
        assert done.complete["error"]["code"] == case.code
    assert "never to be final" not in done.complete["output"]
