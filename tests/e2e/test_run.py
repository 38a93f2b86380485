"""The main job, end to end: the real program, real connections, real tools; only the model is scripted."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.protocol.messages import WireFormat
from agent_runtime.testing.model_server import Call, Fault, ModelServer, Turn
from agent_runtime.testing.runtime import run
from tests.support.formats import FORMATS

SHELL = {
    "anthropic": ("bash", "command"),
    "openai-responses": ("exec_command", "cmd"),
    "openai-chat": ("exec_command", "cmd"),
}


def sh(format: str, command: str) -> Call:
    tool, argument = SHELL[format]
    return Call(tool, {argument: command})


@pytest.mark.parametrize("format", FORMATS)
def test_a_run_with_a_command_an_edit_and_an_answer(format: WireFormat, workspace: Path) -> None:
    edit = {
        "anthropic": Call(
            "str_replace_based_edit_tool",
            {"command": "str_replace", "path": "a.txt", "old_str": "one", "new_str": "two"},
        ),
        "openai-responses": Call(
            "apply_patch", "*** Begin Patch\n*** Update File: a.txt\n-one\n+two\n*** End Patch\n"
        ),
        "openai-chat": Call(
            "apply_patch", {"input": "*** Begin Patch\n*** Update File: a.txt\n-one\n+two\n*** End Patch\n"}
        ),
    }[format]
    script = [
        Turn(
            thinking="look first",
            text="I make a file.",
            calls=[sh(format, "echo one > a.txt; echo said; exit 3")],
        ),
        Turn(calls=[edit]),
        Turn(text="All done."),
    ]
    with ModelServer(script, awkward=True) as server:
        done = run({"prompt": "make a file", "metadata": {"k": [1]}}, workspace, server.environ(format))
    assert server.violations == []
    assert done.code == 0
    assert (workspace / "a.txt").read_text() == "two\n"
    start = done.events[0]
    assert start["workspace"] == str(workspace) and start["metadata"] == {"k": [1]}
    assert [(e["kind"], e["content"]) for e in done.of("thinking")] == [
        ("reasoning", "look first"),
        ("text", "I make a file."),
    ]
    first, second = done.of("tool_result")
    assert "said" in first["output"] and first["turn"] == 1 and second["isError"] is False
    assert [(e["action"], e["source"], e["additions"], e["deletions"]) for e in done.of("file_edit")] == [
        ("create", "shell", 1, 0),
        ("modify", "tool", 1, 1),
    ]
    complete = done.complete
    assert (complete["status"], complete["stopReason"], complete["output"]) == (
        "completed",
        "end_turn",
        "All done.",
    )
    assert complete["files"] == [str(workspace / "a.txt")] and complete["iterations"] == 3
    assert complete["metadata"] == {"k": [1]} and complete["devUrl"] is None


@pytest.mark.parametrize("format", FORMATS)
def test_max_turns_keeps_the_work_and_exits_3(format: WireFormat, workspace: Path) -> None:
    with ModelServer([Turn(calls=[sh(format, "date >> log")])], repeat_last=True) as server:
        done = run({"prompt": "loop", "config": {"maxTurns": 3}}, workspace, server.environ(format))
    assert done.code == 3 and done.complete["stopReason"] == "max_turns" and done.complete["iterations"] == 3
    assert [error["code"] for error in done.of("error")] == ["max_turns"]
    assert len((workspace / "log").read_text().splitlines()) == 3
    assert [notice["details"]["limit"] for notice in done.of("notice")] == ["max_turns"]
    warned = [request for request in server.requests if "system-reminder" in str(request.body)]
    assert len(warned) == 1  # the model was warned before its last call


@pytest.mark.parametrize("format", FORMATS)
def test_unknown_tools_and_bad_arguments_are_reported_to_the_model(
    format: WireFormat, workspace: Path
) -> None:
    tool, argument = SHELL[format]
    script = [
        Turn(calls=[Call("no_such_tool", {}), Call(tool, "{not json"), Call(tool, {"nonsense": 1})]),
        Turn(text="sorry"),
    ]
    with ModelServer(script) as server:
        done = run({"prompt": "x"}, workspace, server.environ(format))
    assert done.code == 0 and server.violations == []
    unknown, broken, wrong = done.of("tool_result")
    assert unknown["isError"] and tool in unknown["output"]
    assert broken["isError"] and "JSON" in broken["output"]
    assert wrong["isError"] and "nonsense" in wrong["output"] and argument in wrong["output"]


@pytest.mark.parametrize("format", FORMATS)
def test_a_call_truncated_by_the_output_limit_is_not_executed(format: WireFormat, workspace: Path) -> None:
    cut = Turn(calls=[sh(format, "touch never")], stop="max_tokens")
    with ModelServer([cut, cut, Turn(text="done")]) as server:
        done = run({"prompt": "x"}, workspace, server.environ(format))
    assert done.code == 0 and server.violations == []
    assert not (workspace / "never").exists()
    assert [result["outcome"] for result in done.of("tool_result")] == ["not_started"] * 2
    with ModelServer([cut], repeat_last=True) as server:
        done = run({"prompt": "x"}, workspace, server.environ(format))
    assert (done.code, done.complete["stopReason"], done.complete["iterations"]) == (3, "max_tokens", 3)


@pytest.mark.parametrize("format", FORMATS)
def test_an_answer_truncated_by_the_output_limit_ends_the_run(format: WireFormat, workspace: Path) -> None:
    with ModelServer([Turn(text="half an ans", stop="max_tokens")]) as server:
        done = run({"prompt": "x", "config": {"maxTokens": 77}}, workspace, server.environ(format))
    assert (done.code, done.complete["stopReason"], done.complete["output"]) == (
        3,
        "max_tokens",
        "half an ans",
    )
    assert 77 in [
        server.bodies[0].get(name) for name in ("max_tokens", "max_output_tokens", "max_completion_tokens")
    ]


@pytest.mark.parametrize("format", FORMATS)
def test_a_fatal_error_of_the_provider_fails_the_run(format: WireFormat, workspace: Path) -> None:
    with ModelServer([Turn(fault=Fault(401, message="no such key"))]) as server:
        done = run({"prompt": "x"}, workspace, server.environ(format))
    assert done.code == 1 and done.complete["error"]["code"] == "authentication_error"
    assert "no such key" in done.complete["error"]["message"]
    assert [error["retryable"] for error in done.of("error")] == [False]


def test_a_missing_workspace_an_unknown_tool_and_an_unknown_agent(workspace: Path) -> None:
    (agents := workspace.parent / "agents").mkdir()
    (agents / "odd.md").write_text("---\ntools: [teleport]\n---\nhi")
    with ModelServer() as server:
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"prompt": "x", "agent": "odd", "agentsDir": str(agents)}, "agent"),
            ({"prompt": "x", "tools": ["bash", "teleport"]}, "tools[1]"),
            ({"prompt": "x", "agent": "nobody"}, "agent"),
            ({"prompt": "x", "model": "nobody:x"}, "model"),
            ({"prompt": "x", "mounts": [{"workspaceId": "w", "path": "/no/such"}]}, "mounts[0].path"),
        ]
        for request, field in wrong:
            done = run(request, workspace, server.environ("anthropic"))
            assert (done.code, done.of("error")[0]["details"]["field"]) == (2, field)
        done = run({"prompt": "x"}, workspace / "missing", server.environ("anthropic"))
        assert (done.code, done.of("error")[0]["details"]["field"]) == (2, "workspace")
    assert server.requests == []


@pytest.mark.parametrize("field", ["metadata", "params", "model"])
def test_a_request_that_is_nested_too_deeply_is_refused(field: str, workspace: Path) -> None:
    deep = '{"n":' * 400 + "1" + "}" * 400
    with ModelServer() as server:
        done = run(f'{{"prompt":"x","{field}":{deep}}}', workspace, server.environ("anthropic"))
    assert (done.code, done.of("error")[0]["details"]["field"]) == (2, field)


def test_arguments_that_are_nested_too_deeply_are_reported_to_the_model(workspace: Path) -> None:
    call = Call("bash", '{"command":' * 400 + '"ls"' + "}" * 400)
    with ModelServer([Turn(calls=[call]), Turn(text="ok")]) as server:
        done = run({"prompt": "x"}, workspace, server.environ("anthropic"))
    assert done.code == 0 and "not a JSON object" in done.of("tool_result")[0]["output"]


def test_two_edits_of_one_turn_are_both_applied(workspace: Path) -> None:
    (workspace / "a.txt").write_text("one\ntwo\n")
    calls = [
        Call(
            "str_replace_based_edit_tool",
            {"command": "str_replace", "path": "a.txt", "old_str": old, "new_str": new},
        )
        for old, new in [("one", "1"), ("two", "2")]
    ]
    with ModelServer([Turn(calls=calls), Turn(text="ok")]) as server:
        done = run({"prompt": "x"}, workspace, server.environ("anthropic"))
    assert (workspace / "a.txt").read_text() == "1\n2\n"
    assert done.complete["files"] == [str(workspace / "a.txt")]


def test_the_diffs_lead_from_the_old_tree_to_the_new(workspace: Path, tmp_path: Path) -> None:
    (workspace / "keep.txt").write_text("a\nb\n")
    (workspace / "gone.txt").write_text("x\n")
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-a", workspace, copy], check=True)
    script = [
        Turn(
            calls=[
                Call(
                    "bash",
                    {
                        "command": "sed -i s/b/c/ keep.txt; rm gone.txt; mkdir d;"
                        " printf new > 'd/n w.txt'; chmod +x keep.txt"
                    },
                )
            ]
        ),
        Turn(
            calls=[
                Call(
                    "str_replace_based_edit_tool",
                    {"command": "create", "path": "d/e.txt", "file_text": "e\n"},
                )
            ]
        ),
        Turn(text="ok"),
    ]
    with ModelServer(script) as server:
        done = run({"prompt": "x"}, workspace, server.environ("anthropic"))
    for event in done.of("file_edit"):
        subprocess.run(["git", "apply", "-"], input=event["diff"].encode(), cwd=copy, check=True)
    subprocess.run(["diff", "-r", workspace, copy], check=True)
    assert done.complete["files"] == sorted(
        str(workspace / name) for name in ("keep.txt", "d/n w.txt", "d/e.txt")
    )
    assert done.complete["deletedFiles"] == [str(workspace / "gone.txt")]
