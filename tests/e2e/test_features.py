"""Partial output, heartbeats, retries, fallbacks, compaction, background servers: through the real program."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.protocol.messages import WireFormat
from agent_runtime.testing.model_server import Call, Fault, ModelServer, Turn
from agent_runtime.testing.runtime import run
from tests.support.followed import running
from tests.support.formats import FORMATS
from tests.support.runs import bash


@pytest.mark.parametrize("format", FORMATS)
def test_deltas_add_up_to_the_final_texts(format: WireFormat, workspace: Path) -> None:
    tool = ("bash", "command") if format == "anthropic" else ("exec_command", "cmd")
    script = [
        Turn(thinking="think hard", text="I say", calls=[Call(tool[0], {tool[1]: "seq 3; printf end"})]),
        Turn(text="fin\U0001f600al"),
    ]
    with ModelServer(script, awkward=True) as server:
        done = run({"prompt": "x"}, workspace, server.environ(format), ["--partial"])
    assert done.code == 0

    def joined(kind: str, turn: int) -> str:
        return "".join(event["delta"] for event in done.of(kind) if event["turn"] == turn)

    said = {(event["kind"], event["turn"]): event["content"] for event in done.of("thinking")}
    assert joined("thinking_delta", 1) == said["reasoning", 1] == "think hard"
    assert joined("text_delta", 1) == said["text", 1] == "I say"
    assert joined("text_delta", 2) == done.complete["output"] == "fin\U0001f600al"
    assert json.loads(joined("tool_input_delta", 1)) == done.of("tool_call")[0]["input"]
    assert joined("tool_output_delta", 1) == done.of("tool_result")[0]["output"]
    assert len(done.of("text_delta")) > 2


def test_heartbeats_name_the_current_phase(workspace: Path) -> None:
    script = [bash("until [ -e go ]; do sleep 0.02; done"), Turn(text="ok")]
    with ModelServer(script) as server, running(server, workspace, "--heartbeat", "0.2") as following:
        following.until("heartbeat", awaiting="tool")
        (workspace / "go").touch()
        done = following.end()
    assert all(event["since"].endswith("Z") for event in done.of("heartbeat"))


def test_retried_failures_are_reported(workspace: Path) -> None:
    script = [
        Turn(fault=Fault(529, code="overloaded_error")),
        Turn(text="half of", fault=Fault(cut_after=4)),
        Turn(text="whole"),
    ]
    with ModelServer(script) as server:
        done = run({"prompt": "x"}, workspace, server.environ("anthropic"))
    assert (done.code, done.complete["output"], done.complete["iterations"]) == (0, "whole", 1)
    retries = [(error["code"], error["retryable"], error["attempt"]) for error in done.of("error")]
    assert retries == [("overloaded", True, 1), ("provider_error", True, 2)]
    assert all(error["retryInMs"] >= 0 for error in done.of("error"))


def test_the_next_model_is_used_when_one_is_not_found(workspace: Path) -> None:
    script = [Turn(fault=Fault(404, code="not_found_error")), Turn(text="here")]
    with ModelServer(script) as server:
        models = ["claude-gone-1", "claude-sonnet-4-5"]
        done = run({"prompt": "x", "model": models}, workspace, server.environ("anthropic"))
    assert (done.code, done.complete["output"]) == (0, "here")
    assert [body["model"] for body in server.bodies] == models
    assert [notice["code"] for notice in done.of("notice")] == ["fallback_model"]


def test_the_call_is_shortened_for_a_next_model_with_a_smaller_window(workspace: Path) -> None:
    words = "a word of the history " * 1_500
    messages = [{"role": role, "content": words} for role in ("user", "assistant") * 3]
    script = [Turn(fault=Fault(404, code="not_found_error")), Turn(text="a summary"), Turn(text="here")]
    request = {
        "prompt": "go on",
        "messages": messages,
        "model": ["claude-gone-1", "openai-chat:gpt-4"],
        "tools": ["read_file"],
        "systemPrompt": "Be brief.",
    }
    with ModelServer(script) as server:
        done = run(request, workspace, server.environ("anthropic"))
    assert (done.code, done.complete["output"]) == (0, "here")
    codes = [notice["code"] for notice in done.of("notice") if notice["code"] != "price_unknown"]
    assert codes == ["fallback_model", "context_compacted"]
    whole, _, shortened = (len(json.dumps(body)) for body in server.bodies)
    assert whole > 6 * len(words) > 8 * shortened
    assert done.of("usage")[-1]["contextWindow"] == 8192


def test_a_hosted_tool_that_the_account_may_not_use_is_left_out(workspace: Path) -> None:
    refusal = Fault(400, message="tools.4: web_search is not enabled for your organization")
    with ModelServer([Turn(fault=refusal), Turn(text="without")]) as server:
        done = run({"prompt": "x"}, workspace, server.environ("anthropic"))
    assert (done.code, done.complete["output"]) == (0, "without")
    offered = [[tool["name"] for tool in body["tools"]] for body in server.bodies]
    assert "web_search" in offered[0] and offered[1] == [name for name in offered[0] if name != "web_search"]
    assert [notice["code"] for notice in done.of("notice")] == ["parameter_dropped"]


@pytest.mark.parametrize("tokens", [100, 0])
def test_a_history_beyond_the_window_is_shortened(tokens: int, workspace: Path) -> None:
    big = "x" * 300_000
    messages: list[dict[str, Any]] = []
    for number in range(6):
        messages += [{"role": "user", "content": f"{number} {big}"}, {"role": "assistant", "content": "ok"}]
    messages.append({"role": "user", "content": "go on"})
    summary = Turn(text="the summary", usage={"input": tokens, "output": tokens})
    with ModelServer([summary, Turn(text="done")]) as server:
        done = run({"messages": messages}, workspace, server.environ("anthropic"))
    assert (done.code, done.complete["output"]) == (0, "done"), done.events
    (notice,) = done.of("notice")
    assert notice["code"] == "context_compacted"
    assert notice["details"]["tokensAfter"] < notice["details"]["tokensBefore"]
    assert "the summary" in json.dumps(server.bodies[1])
    usage = done.of("usage")[0]  # the usage of the summary
    if tokens:
        assert (usage["inputTokens"], usage.get("estimated")) == (tokens, None)
    else:  # not reported by the provider, so counted here
        assert usage["inputTokens"] > 1_000 and usage["outputTokens"] > 0 and usage["estimated"]


def test_a_background_server_outlives_the_run_and_is_reported(workspace: Path) -> None:
    code = (
        "import http.server as h; s = h.ThreadingHTTPServer(('0.0.0.0', 0), h.SimpleHTTPRequestHandler); "
        "print(s.server_port, flush=True); s.serve_forever()"
    )
    script = [
        Turn(
            calls=[
                Call("str_replace_based_edit_tool", {"command": "create", "path": "s.py", "file_text": code})
            ]
        ),
        bash("python3 s.py > port & while [ ! -s port ]; do sleep 0.05; done"),
        Turn(text="up"),
    ]
    with ModelServer(script) as server:
        done = run(
            {"prompt": "x", "sandboxId": "sb1"},
            workspace,
            server.environ("anthropic"),
            ["--dev-url", "https://{port}-{sandboxId}.example.com"],
        )
    assert done.code == 0
    port = int((workspace / "port").read_text())
    up = done.of("dev_url")[0]
    try:
        assert (up["status"], up["url"], up["loopbackOnly"]) == (
            "up",
            f"https://{port}-sb1.example.com",
            False,
        )
        assert done.complete["devUrl"] == up["url"]
        assert [each["port"] for each in done.complete["devUrls"]] == [port]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/s.py", timeout=60) as answer:
            assert answer.read().decode() == code
    finally:
        os.kill(up["pid"], 9)


def test_complete_lists_running_and_ended_background_processes(workspace: Path) -> None:
    script = [
        bash(
            "python3 -u -m http.server 0 >server.log 2>&1 & sleep 300 & until [ -s server.log ]; do sleep 0.02; done"
        ),
        Turn(calls=[Call("exec_command", {"cmd": "python3 -i", "tty": True, "yield_time_ms": 300})]),
        Turn(text="done"),
    ]
    with ModelServer(script) as server:
        request = {"prompt": "go", "tools": ["bash", "exec_command"]}
        done = run(request, workspace, server.environ("anthropic"))
    complete = done.complete
    by_command = {process["command"].split()[0].rpartition("/")[2]: process for process in complete["left"]}
    try:
        assert done.code == 0
        assert by_command["sleep"]["toolCallId"] == "call_0000_0"
        ports = [process["port"] for process in complete["left"] if process.get("port")]
        assert len(ports) == 1
        assert ["python3 -i" in process["command"] for process in complete["ended"]] == [True]
    finally:
        for process in complete["left"]:
            os.kill(process["pid"], signal.SIGKILL)
