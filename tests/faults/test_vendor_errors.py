"""Errors in the words of vendors: which end a run at once, and which are tried again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.providers.errors import map_error, retry_after
from agent_runtime.testing.model_server import Fault, ModelServer, Turn
from agent_runtime.testing.runtime import run
from tests.cli.standby.conftest import Running
from tests.faults.standby_runs import StandbyRun, request_for
from tests.faults.vendor_answers import ANSWERS
from tests.faults.vendor_streams import IN_STREAM


@pytest.mark.parametrize(("body", "expected"), IN_STREAM)
def test_an_error_event_in_a_stream_is_read(body: Any, expected: tuple[str, bool]) -> None:
    error = map_error(body)
    assert (error.code, error.retryable) == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS]
)
def test_error_responses_of_vendors_are_read(status: int, body: Any, expected: tuple[str, bool]) -> None:
    error = map_error(body, status=status)
    assert (error.code, error.retryable) == expected


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Please try again in 250ms.", 0.25),
        ("Please retry after 1 second.", 1),
        ("Please try again in 7m12s.", 432),
        ("Please try again in 14m24.5s.", 864.5),
        ("Please try again in 2h3m.", 7380),
        ("Please try again in 5 millis", 0.005),
        ("Please try again in a while", None),
        ("Please try again in 5 days", None),
    ],
)
def test_a_delay_in_the_message_is_read(words: str, seconds: float | None) -> None:
    assert map_error({"message": words}, status=429).retry_after == seconds


@pytest.mark.parametrize("value", ["inf", "nan", "-5", "1e3", "0x10", "soon", "", "1, 2", "9" * 400])
@pytest.mark.parametrize("name", ["retry-after", "retry-after-ms"])
def test_an_invalid_delay_is_ignored(name: str, value: str) -> None:
    """Only finite numbers reach an event: JSON has no others."""
    json.dumps(retry_after({name: value}, 0.0), allow_nan=False)
    assert not retry_after({name: value}, 0.0)


def test_a_json_response_instead_of_a_stream_is_read(standby: Running, tmp_path: Path) -> None:
    """From an endpoint that does not stream."""
    choice = {"message": {"role": "assistant", "content": "whole"}, "finish_reason": "stop"}
    with ModelServer([Turn(fault=Fault(200, body=json.dumps({"choices": [choice]})))]) as server:
        done = StandbyRun(standby, request_for("openai-chat"), server.environ("openai-chat"), tmp_path).end()
    assert (done.code, done.complete["output"]) == (0, "whole")


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:port", "socks5://127.0.0.1:9"])
def test_an_invalid_proxy_is_reported(proxy: str, workspace: Path) -> None:
    with ModelServer() as server:
        environ = server.environ("anthropic") | {"ALL_PROXY": proxy, "NO_PROXY": ""}
        done = run({"prompt": "x"}, workspace, environ)
    assert (done.code, done.of("error")[-1]["code"], done.stderr) == (1, "provider_error", "")
