"""The tools over the shell and the sessions, as the model calls them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from agent_runtime.agent.tool import ToolContext
from agent_runtime.errors import ToolError
from agent_runtime.files.editor import FileEditor
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell.session_manager import SessionManager
from agent_runtime.tools import load
from tests.shell.conftest import Bench

pytestmark = pytest.mark.anyio


def context(sh: Bench, sessions: SessionManager) -> ToolContext:
    unused: Any = None
    return ToolContext(
        call_id="call",
        workspace=sh.home,
        shell=sh.shell,
        sessions=sessions,
        files=FileEditor(workspace=sh.home, home=sh.home),
        servers=unused,
        user=unused,
        search=unused,
        tool_timeout=60,
        output_tokens=100,
    )


@pytest.mark.parametrize("name", ["bash", "exec_command", "write_stdin"])
def test_every_parameter_has_a_description(name: str) -> None:
    spec = load(name).spec()
    assert spec.name == name
    assert spec.description
    assert all(field.get("description") for field in spec.parameters["properties"].values())


async def call(name: str, input: Mapping[str, Any], sh: Bench, sessions: SessionManager) -> ToolOutput:
    wait = {"yield_time_ms": 60_000} if name == "exec_command" else {}
    return await load(name).call({**wait, **input}, context(sh, sessions))


async def test_the_bash_tool_runs_commands(sh: Bench, sessions: SessionManager) -> None:
    assert (await call("bash", {"command": "x=1; echo hi"}, sh, sessions)).text == "hi"
    assert (await call("bash", {"restart": True}, sh, sessions)).text == "The shell has been restarted."
    assert (await call("bash", {"command": "echo x$x", "restart": False}, sh, sessions)).text == "x"
    assert (await call("bash", {"command": "sleep 600", "timeout": 0.2}, sh, sessions)).outcome == "timed_out"
    cut = await call("bash", {"command": "seq 1000"}, sh, sessions)
    assert cut.truncated and cut.output_bytes == 3893


@pytest.mark.parametrize("wrong", [{}, {"restart": False}, {"cmd": "x"}, {"command": "x", "timeout": -1}])
async def test_wrong_arguments_are_named(sh: Bench, sessions: SessionManager, wrong: dict[str, Any]) -> None:
    with pytest.raises(ToolError, match=r"command|timeout"):
        await call("bash", wrong, sh, sessions)


async def test_the_session_tools_start_and_write(sh: Bench, sessions: SessionManager) -> None:
    started = await call("exec_command", {"cmd": "cat", "yield_time_ms": 0}, sh, sessions)
    assert "session ID 1" in started.text
    wait = {"session_id": 1, "yield_time_ms": 60_000}
    typed = await call("write_stdin", {**wait, "chars": "hi\n"}, sh, sessions)
    assert typed.text.endswith("Output:\nhi")
    ended = await call("write_stdin", {**wait, "chars": "\x04"}, sh, sessions)
    assert ended.exit_code == 0
    elsewhere = await call(
        "exec_command", {"cmd": "pwd", "workdir": "/", "max_output_tokens": 5}, sh, sessions
    )
    assert elsewhere.text.endswith("Output:\n/")


@pytest.mark.parametrize(
    "extra",
    [
        {"login": True, "shell": "/bin/zsh", "justification": "to see", "sandbox_permissions": "use_default"},
        {"description": "says hi", "with_escalated_permissions": False, "prefix_rule": ["echo"]},
        {"tty": None, "workdir": None, "max_output_tokens": None},
        {"cwd": "/", "security_risk": "LOW", "is_input": "false"},
        {"timeout_ms": 1, "explanation": "", "environment_id": "local", "run_in_background": False},
    ],
)
async def test_arguments_of_other_versions_of_the_tool_do_nothing(
    sh: Bench, sessions: SessionManager, extra: dict[str, Any]
) -> None:
    for name in ("cmd", "command"):
        result = await call("exec_command", {name: "echo hi", **extra}, sh, sessions)
        assert result.text.endswith("Output:\nhi")


async def test_a_directory_may_be_given_by_other_names(sh: Bench, sessions: SessionManager) -> None:
    for name in ("workdir", "cwd", "working_directory"):
        assert (await call("exec_command", {"cmd": "pwd", name: "/"}, sh, sessions)).text.endswith("\n/")


@pytest.mark.parametrize(
    "workdir", ['"my src"', "my\\ src", "file://{home}/my%20src", "~/my src", "$PWD/my src", "{home}/my src/"]
)
async def test_a_directory_is_found_under_another_spelling(
    sh: Bench, sessions: SessionManager, workdir: str
) -> None:
    (sh.home / "my src").mkdir()
    workdir = workdir.replace("{home}", str(sh.home))
    result = await call("exec_command", {"cmd": "pwd", "workdir": workdir}, sh, sessions)
    assert result.text.endswith(f"\n{sh.home}/my src")
    with pytest.raises(ToolError, match="no such"):
        await call("exec_command", {"cmd": "pwd", "workdir": "no such"}, sh, sessions)


async def test_other_arguments_are_refused(sh: Bench, sessions: SessionManager) -> None:
    with pytest.raises(ToolError, match=r"- path: Extra inputs are not permitted\nExpected JSON Schema"):
        await call("exec_command", {"cmd": "echo hi", "path": "/"}, sh, sessions)
    with pytest.raises(ToolError, match=r"- cmd: Field required"):
        await call("exec_command", {"cmd": None}, sh, sessions)
