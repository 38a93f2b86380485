"""How long a model call is waited for: three limits, each of which ends what it is for and nothing that lives."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import Fault, ModelServer, Turn
from agent_runtime.testing.runtime import COMMAND, Json, Result, environment, result
from tests.cli.standby.conftest import Running
from tests.faults.standby_runs import StandbyRun, request_for
from tests.support.formats import FORMATS

LONG = {"connectTimeout": 60, "firstTokenTimeout": 60, "betweenTokensTimeout": 60, "maxRetries": 0}
HANGS = {
    "black-hole": (Fault(black_hole=True), "firstTokenTimeout"),
    "pings-only": (Fault(pings_only=True), "firstTokenTimeout"),
    "hang-in-a-block": (Fault(hang_after=4), "betweenTokensTimeout"),
}


def together(standby: Running, folder: Path, turn: Turn, config: Json, **environ: str) -> list[Result]:
    """The same turn and limits in the three wire formats, at the same time."""
    with ExitStack() as servers:
        trials = []
        for format in FORMATS:
            server = servers.enter_context(ModelServer([turn]))
            (folder / format).mkdir()
            request = request_for(format, config=config)
            trials.append(StandbyRun(standby, request, server.environ(format) | environ, folder / format))
        return [trial.end() for trial in trials]


@pytest.mark.parametrize("name", HANGS)
def test_each_timeout_ends_its_own_phase(name: str, standby: Running, tmp_path: Path) -> None:
    fault, limit = HANGS[name]
    for done in together(standby, tmp_path, Turn(text="never whole", fault=fault), LONG | {limit: 0.7}):
        assert_ended(done, limit)
        assert done.of("start")[0]["limits"][limit] == 0.7


def test_a_handshake_that_never_completes_times_out(standby: Running, tmp_path: Path) -> None:
    """A port that takes connections and no TLS handshake."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        nowhere = f"https://127.0.0.1:{mute.getsockname()[1]}"
        urls = {"ANTHROPIC_BASE_URL": nowhere, "OPENAI_BASE_URL": nowhere}
        for done in together(standby, tmp_path, Turn(), LONG | {"connectTimeout": 0.7}, **urls):
            assert_ended(done, "connectTimeout")


def assert_ended(done: Result, limit: str) -> None:
    (error,) = done.of("error")
    assert (error["code"], error["retryable"]) == ("provider_timeout", True)
    assert error["details"]["limit"] == limit
    assert (done.code, done.complete["stopReason"]) == (1, "error")


@pytest.mark.timed
def test_a_slow_stream_is_not_timed_out(standby: Running, tmp_path: Path) -> None:
    """It takes longer than any of the limits, and is never silent for so long."""
    limits = dict.fromkeys(("connectTimeout", "firstTokenTimeout", "betweenTokensTimeout"), 2.0)
    turn = Turn(text="slowly, but it comes", fault=Fault(slow=0.5))
    began = time.monotonic()
    for done in together(standby, tmp_path, turn, limits | {"maxRetries": 0}):
        assert (done.code, done.complete["output"], done.of("error")) == (0, "slowly, but it comes", [])
    assert time.monotonic() - began > 2


def test_unset_timeouts_default_to_the_model_timeout(standby: Running, tmp_path: Path) -> None:
    record = tmp_path / "t.ndjson"
    with ModelServer([Turn(text="ok")], repeat_last=True) as server:

        def timeouts_of(config: Json, **fields: str) -> tuple[float, ...]:
            request = {"config": config} | fields
            done = StandbyRun(standby, request, server.environ("anthropic"), tmp_path).end()
            limits = done.events[0]["limits"]
            names = ("modelTimeout", "connectTimeout", "firstTokenTimeout", "betweenTokensTimeout")
            return tuple(limits[name] for name in names)

        assert timeouts_of({}) == (300, 20, 300, 300)
        assert timeouts_of({"modelTimeout": 9, "first_token_timeout": 90}, record=str(record)) == (
            9,
            9,
            90,
            9,
        )
    replay = [*COMMAND, "replay", str(record), "--tools", "recorded", "--verify"]
    again = subprocess.run(replay, capture_output=True, env=environment({}, tmp_path / "state"), timeout=60)
    assert result(again.stdout, again.returncode, again.stderr).code == 0
