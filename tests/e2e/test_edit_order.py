"""The edits of one turn are made in the order of its calls."""

from __future__ import annotations

from pathlib import Path

from agent_runtime.testing import runtime
from agent_runtime.testing.model_server import ModelServer, Turn

EDITOR, FILE = "str_replace_based_edit_tool", "a.txt"


def call_editor(command: str, **arguments: object) -> tuple[str, dict[str, object]]:
    return (EDITOR, {"command": command, "path": FILE, **arguments})


def test_edits_of_a_turn_keep_their_order(tmp_path: Path) -> None:
    calls: list[tuple[str, dict[str, object]]] = [
        call_editor("create", file_text="one\ntwo\n"),
        call_editor("str_replace", old_str="one", new_str="two"),
        call_editor("insert", insert_line=0, insert_text="zero"),
        call_editor("view"),
        call_editor("create", file_text="last\n"),
        ("bash", {"command": f"cat {FILE}"}),
    ]
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    with ModelServer([Turn(calls=calls), Turn(text="done")]) as server:
        request = {"prompt": "edit", "model": "claude-sonnet-4-5"}
        result = runtime.run(request, workspace, server.environ("anthropic"))
    said = [event["output"] for event in result.of("tool_result")]
    assert [event["id"] for event in result.of("tool_result")] == [c["id"] for c in result.of("tool_call")]
    assert said[3] == "     1\tzero\n     2\ttwo\n     3\ttwo"
    assert said[5] == "last"
