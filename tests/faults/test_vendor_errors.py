"""What vendors really answer, in their own words: which of it ends a run at once, and which is waited out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.providers.errors import map_error, retry_after
from tests.cli.standby.conftest import Running
from tests.faults.lab import Trial, request_for
from tests.support.model_server import Fault, ModelServer, Turn
from tests.support.runtime import run

QUOTA = ("insufficient_quota", False)
KEY = ("authentication_error", False)
MODEL = ("model_not_found", False)
FULL = ("rate_limited", True)
GEMINI = "You exceeded your current quota, please check your plan and billing details."

ANSWERS: list[tuple[str, int, Any, tuple[str, bool]]] = [
    ("openai", 429, {"error": {"message": GEMINI, "code": "insufficient_quota"}}, QUOTA),
    ("anthropic-credit", 400, {"error": {"message": "Your credit balance is too low to access it"}}, QUOTA),
    (
        "anthropic-limit",
        400,
        {"error": {"message": "You have reached your specified API usage limits. You will regain access on"}},
        QUOTA,
    ),
    (
        "anthropic-spend",
        429,
        {
            "error": {
                "type": "rate_limit_error",
                "message": "would exceed your organization's monthly spend limit",
            }
        },
        QUOTA,
    ),
    ("gemini", 429, [{"error": {"message": GEMINI, "status": "RESOURCE_EXHAUSTED"}}], QUOTA),
    ("gemini-minute", 429, [{"error": {"message": f"{GEMINI} Please retry in 34.07s."}}], FULL),
    (
        "xai",
        403,
        {
            "code": "no permission",
            "error": "Your team has either used all available credits or reached its limit",
        },
        QUOTA,
    ),
    ("deepseek", 402, {"error": {"message": "Insufficient Balance", "type": "unknown_error"}}, QUOTA),
    ("together", 429, {"error": {"message": "Credit limit exceeded, please navigate to billing"}}, QUOTA),
    (
        "qwen",
        429,
        {"error": {"message": "Free allocated quota exceeded.", "code": "AllocationQuota.X"}},
        QUOTA,
    ),
    ("mistral", 429, {"message": "Requests rate limit exceeded"}, FULL),
    ("gemini-key", 400, [{"error": {"message": "API key not valid. Please pass a valid API key."}}], KEY),
    ("xai-key", 400, {"code": "x", "error": "Incorrect API key provided: xx."}, KEY),
    ("forbidden-key", 403, {"error": {"message": "Invalid API key", "code": "invalid_api_key"}}, KEY),
    ("openrouter-model", 400, {"error": {"message": "gpt-9 is not a valid model ID", "code": 400}}, MODEL),
    (
        "deepseek-model",
        400,
        {"error": {"message": "Model Not Exist", "code": "invalid_request_error"}},
        MODEL,
    ),
    ("mistral-model", 400, {"message": "Invalid model: foo", "type": "invalid_model"}, MODEL),
    ("openai-model", 403, {"error": {"message": "no access", "code": "model_not_found"}}, MODEL),
    ("redirect", 302, {"error": {"message": "elsewhere"}}, ("provider_error", False)),
]


@pytest.mark.parametrize(
    ("status", "body", "expected"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS]
)
def test_an_answer(status: int, body: Any, expected: tuple[str, bool]) -> None:
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
def test_a_wait_in_words(words: str, seconds: float | None) -> None:
    assert map_error({"message": words}, status=429).retry_after == seconds


@pytest.mark.parametrize("value", ["inf", "nan", "-5", "1e3", "0x10", "soon", "", "1, 2", "9" * 400])
@pytest.mark.parametrize("name", ["retry-after", "retry-after-ms"])
def test_a_wait_that_is_none(name: str, value: str) -> None:
    """Nothing but a finite number gets into an event: JSON has no other."""
    json.dumps(retry_after({name: value}, 0.0), allow_nan=False)
    assert not retry_after({name: value}, 0.0)


def test_a_whole_answer_in_the_place_of_a_stream(standby: Running, tmp_path: Path) -> None:
    """From an endpoint that streams nothing, whatever it is asked for."""
    choice = {"message": {"role": "assistant", "content": "whole"}, "finish_reason": "stop"}
    with ModelServer([Turn(fault=Fault(200, body=json.dumps({"choices": [choice]})))]) as server:
        done = Trial(standby, request_for("openai-chat"), server.environ("openai-chat"), tmp_path).end()
    assert (done.code, done.complete["output"]) == (0, "whole")


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:port", "socks5://127.0.0.1:9"])
def test_a_proxy_that_is_none(proxy: str, workspace: Path) -> None:
    with ModelServer() as server:
        environ = server.environ("anthropic") | {"ALL_PROXY": proxy, "NO_PROXY": ""}
        done = run({"prompt": "x"}, workspace, environ)
    assert (done.code, done.of("error")[-1]["code"], done.stderr) == (1, "provider_error", "")
