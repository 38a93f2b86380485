"""Threads through the real program: continued, continued after a kill, and left alone."""

from __future__ import annotations

import json
from pathlib import Path

from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.runtime import run
from tests.support.runs import bash, start_run


def test_a_thread_continues_with_its_history(workspace: Path) -> None:
    with ModelServer([bash("echo one"), Turn(text="first"), Turn(text="second")]) as server:
        for prompt in ("begin", "go on"):
            done = run({"prompt": prompt, "threadId": "t1"}, workspace, server.environ("anthropic"))
            assert done.code == 0 and done.complete["threadId"] == "t1"
    assert server.violations == []
    roles = [message["role"] for message in server.bodies[-1]["messages"]]
    assert roles == ["user", "assistant", "user", "assistant", "user"]
    assert "go on" in json.dumps(server.bodies[-1]["messages"][-1])


def test_a_thread_continues_after_a_kill_with_the_interrupted_call_reported(workspace: Path) -> None:
    with ModelServer([bash("echo started > marker; sleep 60"), Turn(text="resumed")]) as server:
        process = start_run(server, workspace, "--prompt", "x", "--thread", "t")
        with process:
            assert process.stdout
            for line in process.stdout:
                if b'"tool_call"' in line:
                    break
            process.kill()
        done = run({"prompt": "go on", "threadId": "t"}, workspace, server.environ("anthropic"))
    assert done.code == 0 and server.violations == []
    assert "whether it took effect is unknown" in json.dumps(server.bodies[-1])
    assert [notice["code"] for notice in done.of("notice")] == ["history_repaired"]


def test_caller_managed_messages_touch_no_thread(workspace: Path) -> None:
    messages = [
        {"role": "user", "content": "my name is Ada"},
        {"role": "assistant", "content": "Hello Ada"},
        {"role": "user", "content": [{"type": "text", "text": "what is my name?"}]},
    ]
    with ModelServer([Turn(text="Ada"), Turn(text="who?")]) as server:
        done = run({"messages": messages, "threadId": "t"}, workspace, server.environ("anthropic"))
        assert done.complete["output"] == "Ada"
        run({"prompt": "and now?", "threadId": "t"}, workspace, server.environ("anthropic"))
    assert "my name is Ada" in json.dumps(server.bodies[0])
    assert "Ada" not in json.dumps(server.bodies[1]["messages"])
