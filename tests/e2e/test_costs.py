"""Costs through the real program: what events say, the limit of a run, models without a known price, replays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from agent_runtime.protocol.messages import WireFormat
from agent_runtime.testing.model_server import Call, ModelServer, Turn
from agent_runtime.testing.plugin import Replay
from agent_runtime.testing.runtime import run

# US dollars for a million tokens of the models of `ModelServer.environ`: input, cached input, output
PRICES = {"anthropic": (3, 0.3, 15), "openai-responses": (1.75, 0.175, 14), "openai-chat": (1.75, 0.175, 14)}
USAGE = {"input": 100_000, "cached": 40_000, "output": 1_000}
CUSTOM = {"provider": "custom", "format": "openai", "name": "house-model"}


def echo(usage: dict[str, int]) -> Turn:
    return Turn(calls=[Call("bash", {"command": "echo hi"})], usage=usage)


@pytest.mark.parametrize("format", get_args(WireFormat))
def test_every_call_and_the_whole_run_have_their_cost(
    format: WireFormat, workspace: Path, tmp_path: Path, replay: Replay
) -> None:
    read_in, cached, out = PRICES[format]
    expected = (60_000 * read_in + 40_000 * cached + 1_000 * out) / 1e6
    transcript = tmp_path / "t.ndjson"
    with ModelServer([echo(USAGE), Turn(text="done", usage=USAGE)]) as server:
        request = {"prompt": "x", "record": str(transcript), "tools": ["bash"]}
        done = run(request, workspace, server.environ(format))
    assert [event["costUsd"] for event in done.of("usage")] == [pytest.approx(expected)] * 2
    assert done.complete["usage"]["costUsd"] == pytest.approx(2 * expected)
    again = replay(transcript)
    assert again.complete["usage"]["costUsd"] == done.complete["usage"]["costUsd"]


@pytest.mark.parametrize(
    "limit, calls",
    [
        (0.2, 0),  # the first prompt alone may cost more: it is counted before the call
        (0.70, 2),  # each call costs about 0.315
        (0.95, 3),
    ],
)
def test_a_run_ends_before_the_call_that_would_pass_its_limit(
    limit: float, calls: int, workspace: Path, tmp_path: Path, replay: Replay
) -> None:
    transcript = tmp_path / "t.ndjson"
    usage = {"input": 100_000, "output": 1_000}
    prompt = "word " * 100_000 if calls == 0 else "x"
    with ModelServer([echo(usage)], repeat_last=True) as server:
        request = {"prompt": prompt, "config": {"maxCost": limit}, "record": str(transcript)}
        done = run(request, workspace, server.environ("anthropic"))
    assert (done.code, done.complete["stopReason"], done.complete["iterations"]) == (3, "max_cost", calls)
    assert done.complete["error"]["code"] == "max_cost"
    assert done.complete["usage"]["costUsd"] <= limit
    assert done.events[0]["limits"]["maxCost"] == limit
    assert replay(transcript).complete["usage"]["costUsd"] == done.complete["usage"]["costUsd"]


def test_the_model_is_warned_once_before_the_limit(workspace: Path) -> None:
    with ModelServer([echo({"input": 100_000, "output": 1_000})], repeat_last=True) as server:
        done = run({"prompt": "x", "config": {"maxCost": 1.4}}, workspace, server.environ("anthropic"))
    near = [notice for notice in done.of("notice") if notice["details"].get("limit") == "max_cost"]
    assert len(near) == 1
    assert "US dollars left in this run: 0." in json.dumps(server.bodies[-1])


def test_an_unknown_price_is_null_and_reported_once(workspace: Path) -> None:
    with ModelServer([echo(USAGE), Turn(text="done")]) as server:
        model = CUSTOM | {"endpoint": f"{server.url}/v1", "apiKey": "k"}
        done = run({"prompt": "x", "model": model, "tools": ["bash"]}, workspace, {})
    assert [event["costUsd"] for event in done.of("usage")] == [None, None]
    assert done.complete["usage"]["costUsd"] is None
    assert [notice["code"] for notice in done.of("notice")] == ["price_unknown"]


def test_own_prices_give_a_custom_model_a_cost_and_a_limit(
    workspace: Path, tmp_path: Path, replay: Replay
) -> None:
    prices, transcript = tmp_path / "prices.json", tmp_path / "t.ndjson"
    prices.write_text(json.dumps({"house-model": {"input": 10, "output": 10}}))
    with ModelServer([Turn(text="done", usage={"input": 1000, "output": 100})]) as server:
        model = CUSTOM | {"endpoint": f"{server.url}/v1", "apiKey": "k"}
        request: dict[str, Any] = {"prompt": "x", "model": model, "config": {"maxCost": 1}}
        refused = run(request, workspace, {})
        done = run(request | {"record": str(transcript)}, workspace, {"AGENT_RUNTIME_PRICES": str(prices)})
    assert refused.code == 2 and refused.complete["error"]["details"]["field"] == "config.maxCost"
    assert done.complete["usage"]["costUsd"] == pytest.approx(0.011)
    prices.unlink()
    assert replay(transcript).complete["usage"]["costUsd"] == pytest.approx(0.011)
