"""Servers that work and servers that do not, in whole runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.testing.model_server import Call, Turn
from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.plugin import Replay
from agent_runtime.testing.runtime import Json, Result
from agent_runtime.testing.scripted import ScriptedRun, run_scripted
from tests.mcp.conftest import faulty

NO_KEYS = {"ANTHROPIC_API_KEY": "sk-ant-of-the-runtime-0123456789"}


def call(tool: str, server: str = "s", **arguments: Any) -> Call:
    return Call(f"mcp__{server}__{tool}", arguments)


def run(workspace: Path, calls: list[Call], servers: Json | None = None, **fields: Any) -> ScriptedRun:
    """One turn with these calls."""
    script = [Turn(calls=calls), Turn(text="done")] if calls else [Turn(text="done")]
    return run_scripted(script, workspace, mcpServers=servers or {"s": faulty()}, **fields)


def notices(done: Result, code: str) -> dict[str, Json]:
    return {each["details"]["server"]: each for each in done.of("notice") if each["code"] == code}


def outputs(done: Result) -> list[tuple[str, str]]:
    """The outcome and the output of each call, in the order of the calls."""
    results = {each["id"]: each for each in done.of("tool_result")}
    found = [results[each["id"]] for each in done.of("tool_call")]
    return [(each["outcome"], each["output"]) for each in found]


def test_a_server_that_fails_is_a_notice_and_the_others_are_used(workspace: Path) -> None:
    servers = {
        "good": faulty("banner"),
        "exits": faulty("exits"),
        "missing": {"command": "no-such-program"},
        "silent": faulty("silent", startupTimeoutSec=2),
        "deaf": faulty("deaf", "stubborn", startup_timeout_sec=2),
        "floods": faulty("floods"),
        "long_line": faulty("long_line"),
        "version": faulty("version"),
        "unreachable": {"type": "http", "url": "http://127.0.0.1:9/mcp"},
        "off": faulty("exits", enabled=False),
    }
    done = run(workspace, [call("echo", "good", text="hi")], servers)
    assert set(notices(done, "mcp_server_ready")) == {"good"}
    failed = notices(done, "mcp_server_failed")
    assert set(failed) == servers.keys() - {"good", "off"}
    assert "exit status 1" in failed["exits"]["message"]
    assert "cannot open the database" in failed["exits"]["message"]
    assert "no-such-program" in failed["missing"]["message"]
    assert "not ready within 2 s" in failed["silent"]["message"]
    assert outputs(done) == [("completed", "hi")]
    first_turn = next(each["seq"] for each in done.events if each.get("turn") == 1)
    assert all(each["seq"] < first_turn for each in done.of("notice"))
    assert done.code == 0


def test_a_required_server_that_fails_is_an_invalid_request(workspace: Path) -> None:
    done = run(workspace, [], {"good": faulty(), "bad": faulty("exits", required=True)})
    assert (done.code, done.complete["error"]["code"]) == (2, "invalid_request")
    assert done.complete["error"]["details"]["field"] == "mcpServers.bad"
    assert done.requests == []


CALLS: dict[str, tuple[Call, str, str]] = {
    "progress": (call("progress", count=3), "completed", "all steps"),
    "progress-flood": (call("progress", count=30_000), "completed", "all steps"),
    "wrong-ids": (call("wrong_ids"), "completed", "right"),
    "structured": (call("structured"), "completed", '{"answer": 42}'),
    "structured-twice": (call("structured_twice"), "completed", '{"answer": 42}'),
    "half-a-character": (call("half"), "completed", "cut \ufffd here, \U0001f600 whole"),
    "error": (call("tool_error"), "failed", "no such city"),
    "not-a-result": (call("not_a_result"), "failed", "not valid MCP"),
    "unknown-kind": (call("unknown_kind"), "failed", "not valid MCP"),
    "kinds": (call("many_kinds"), "completed", "[resource x://a]\nthe text"),
    "images": (call("bad_image"), "completed", "left out"),
    "big": (call("big"), "completed", "cut here; the whole output is in"),
    "unknown": (call("nothing"), "failed", "There is no tool named"),
}


def test_every_answer_of_a_server_yields_one_result(workspace: Path) -> None:
    done = run(workspace, [each for each, _, _ in CALLS.values()])
    for (outcome, output), (name, (_, expected, says)) in zip(outputs(done), CALLS.items(), strict=True):
        assert outcome == expected, (name, output)
        assert says in output, (name, output)
    assert outputs(done)[4][1].count("42") == 1
    assert done.code == 0


def test_a_call_that_takes_too_long_is_stopped(workspace: Path) -> None:
    servers = {"s": faulty(timeout=1500), "codex": faulty(tool_timeout_sec=0.5), "default": faulty()}
    patient = {"patient": faulty(timeout=60_000)}
    calls = [call("sleep", name) for name in servers] + [call("echo", "patient", text="still here")]
    done = run(workspace, calls, servers | patient, config={"toolTimeout": 1})
    assert [outcome for outcome, _ in outputs(done)] == ["timed_out"] * 3 + ["completed"]
    assert "within 1.5 s" in outputs(done)[0][1]


def test_calls_of_one_turn_run_at_the_same_time(workspace: Path) -> None:
    done = run(workspace, [call("meet") for _ in range(5)])
    assert outputs(done) == [("completed", "all five are here")] * 5


def test_a_server_that_ends_during_a_call_is_started_again(workspace: Path) -> None:
    script = [
        Turn(calls=[call("pid")]),
        Turn(calls=[call("die")]),
        Turn(calls=[call("pid")]),
        Turn(text="done"),
    ]
    done = run_scripted(script, workspace, mcpServers={"s": faulty()})
    (_, before), (outcome, died), (_, after) = outputs(done)
    assert outcome == "failed"
    assert "exit status 9" in died and "out of luck" in died
    assert before != after


def test_a_server_that_ends_each_time_is_given_up(workspace: Path) -> None:
    script = [*(Turn(calls=[call("die")]) for _ in range(5)), Turn(text="done")]
    done = run_scripted(script, workspace, mcpServers={"s": faulty()})
    assert "no longer available: it has ended 4 times" in outputs(done)[-1][1]
    assert set(notices(done, "mcp_server_failed")) == {"s"}


def test_names_are_accepted_by_providers_and_do_not_clash(workspace: Path) -> None:
    done = run(workspace, [], {"my.server": faulty("names"), "my_server": faulty("names")})
    found = [name for each in notices(done, "mcp_server_ready").values() for name in each["details"]["tools"]]
    assert len(set(found)) == len(found) == 14
    assert all(len(name) <= 64 and name.isascii() for name in found)
    offered = [tool["name"] for tool in done.requests[0].body["tools"]]
    assert set(found) <= set(offered)


def test_tools_that_a_provider_would_refuse_are_left_out(workspace: Path) -> None:
    done = run(workspace, [call("combined", x="1")], {"s": faulty("schemas")})
    details = notices(done, "mcp_server_ready")["s"]["details"]
    assert set(details["refused"]) == {"bad_property", "huge"}
    offered = {tool["name"]: tool for tool in done.requests[0].body["tools"]}
    combined = offered["mcp__s__combined"]["input_schema"]
    assert (combined["type"], set(combined["properties"])) == ("object", {"x", "y"})
    assert offered["mcp__s__bare"]["input_schema"] == {"type": "object", "properties": {}}
    assert outputs(done)[0][0] == "completed"


def test_invalid_tools_are_left_out_and_the_others_are_used(workspace: Path) -> None:
    done = run(workspace, [call("echo", text="hi"), call("good")], {"s": faulty("invalid")})
    details = notices(done, "mcp_server_ready")["s"]["details"]
    assert details["tools"] == ["mcp__s__good", "mcp__s__echo"]
    assert {"schema0", "schema3", "none", "described", "annotated", "output", "string"} <= set(
        details["refused"]
    )
    assert all(reason.startswith("not valid MCP: ") for reason in details["refused"].values())
    assert [outcome for outcome, _ in outputs(done)] == ["completed", "completed"]


def test_only_the_selected_tools_are_offered(workspace: Path, tmp_path: Path, replay: Replay) -> None:
    servers = {"a": faulty(enabledTools=["echo", "pid"], disabledTools=["pid"]), "b": faulty()}
    selected, transcript = ["bash", "mcp__a__*", "mcp__b__pid"], tmp_path / "t.ndjson"
    done = run(workspace, [], servers, tools=selected, options=["--record", str(transcript)])
    replay(transcript, None, "--verify=requests")
    offered = {tool["name"] for tool in done.requests[0].body["tools"]}
    assert offered == {"bash", "mcp__a__echo", "mcp__b__pid"}


def test_instructions_of_servers_are_in_the_system_prompt(workspace: Path) -> None:
    done = run(workspace, [])
    assert "# MCP servers\n\n## s\n\nUse it with care." in json.dumps(
        done.requests[0].body["system"]
    ).replace("\\n", "\n")


def test_the_keys_of_the_runtime_reach_no_server(workspace: Path) -> None:
    own = "ghp_a_token_of_the_server_0123456789"
    servers = {"s": faulty(env={"GITHUB_TOKEN": "${MY_TOKEN}", "PLAIN": "${NOT_SET:-value}"})}
    done = run(workspace, [call("environment")], servers, env=NO_KEYS | {"MY_TOKEN": own})
    seen = outputs(done)[0][1]
    assert '"PLAIN": "value"' in seen and '"GITHUB_TOKEN": "[secret]"' in seen
    assert "ANTHROPIC_API_KEY" not in seen
    assert "sk-ant-of-the-runtime" not in json.dumps(done.requests[1].body)
    assert own in json.dumps(done.requests[1].body)  # the model sees what tools return
    assert own not in json.dumps(done.events) + done.stderr


def test_a_server_cannot_be_given_a_key_of_the_runtime(workspace: Path) -> None:
    for value in ("${ANTHROPIC_API_KEY}", NO_KEYS["ANTHROPIC_API_KEY"]):
        done = run(workspace, [], {"s": faulty(env={"KEY": value})}, env=NO_KEYS)
        assert done.code == 2
        assert done.complete["error"]["details"]["field"] == "mcpServers.s.env.KEY"
        assert NO_KEYS["ANTHROPIC_API_KEY"] not in json.dumps(done.events)


def test_a_replay_needs_no_server(workspace: Path, tmp_path: Path, replay: Replay) -> None:
    transcript = tmp_path / "t.ndjson"
    secret = "a-secret-token-0123456789"
    servers = {"s": faulty(env={"SERVER_TOKEN": secret}), "bad": faulty("exits")}
    calls = [call("echo", text="hi"), call("structured"), call("progress", count=2)]
    done = run(workspace, calls, servers, options=["--record", str(transcript)])
    assert secret not in transcript.read_text()
    servers["s"]["command"] = "gone"
    for place in (None, workspace):
        again = replay(transcript, place, "--verify=requests")
        assert outputs(again) == outputs(done)
        assert set(notices(again, "mcp_server_ready")) == {"s"}
        assert set(notices(again, "mcp_server_failed")) == {"bad"}


@pytest.mark.parametrize("format", ["anthropic", "openai-responses", "openai-chat"])
def test_many_tools_are_left_to_the_providers_search(workspace: Path, format: WireFormat) -> None:
    servers = {"s": faulty("many"), "first": faulty(alwaysLoad=True, enabledTools=["echo"])}
    calls = [call("tool499", text="found"), call("echo", "first", text="hi")]
    if format == "openai-chat":
        calls = [call("tool7", text="found"), calls[1]]
    done = run(workspace, calls, servers, format=format)
    assert outputs(done) == [("completed", "found"), ("completed", "hi")]
    tools = done.requests[0].body["tools"]
    deferred = [tool["name"] for tool in tools if tool.get("defer_loading")]
    searches = [tool["type"] for tool in tools if str(tool.get("type")).startswith("tool_search")]
    if format == "openai-chat":
        assert (deferred, searches, len(tools) < 128) == ([], [], True)
        assert "has no tool search" in done.of("notice")[-1]["message"]
    else:
        assert len(deferred) == 500 and "mcp__first__echo" not in deferred
        assert len(searches) == 1
