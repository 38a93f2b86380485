"""The tools over the shell and the sessions, as the model calls them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from agent_runtime.agent.tool import ToolContext
from agent_runtime.errors import ToolError
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
        files=unused,
        servers=unused,
        search=unused,
        tool_timeout=5,
        output_tokens=100,
    )


@pytest.mark.parametrize("name", ["bash", "exec_command", "write_stdin"])
def test_the_model_is_told_of_every_parameter(name: str) -> None:
    spec = load(name).spec()
    assert spec.name == name
    assert spec.description
    assert all(field.get("description") for field in spec.parameters["properties"].values())


async def call(name: str, input: Mapping[str, Any], sh: Bench, sessions: SessionManager) -> ToolOutput:
    return await load(name).call(input, context(sh, sessions))


async def test_bash(sh: Bench, sessions: SessionManager) -> None:
    assert (await call("bash", {"command": "x=1; echo hi"}, sh, sessions)).text == "hi"
    assert (await call("bash", {"restart": True}, sh, sessions)).text == "The shell has been restarted."
    assert (await call("bash", {"command": "echo x$x", "restart": False}, sh, sessions)).text == "x"
    assert (await call("bash", {"command": "sleep 9", "timeout": 0.2}, sh, sessions)).outcome == "timed_out"
    cut = await call("bash", {"command": "seq 1000"}, sh, sessions)
    assert cut.truncated and cut.output_bytes == 3893


@pytest.mark.parametrize("wrong", [{}, {"restart": False}, {"cmd": "x"}, {"command": "x", "timeout": -1}])
async def test_wrong_arguments_are_told(sh: Bench, sessions: SessionManager, wrong: dict[str, Any]) -> None:
    with pytest.raises(ToolError, match=r"command|timeout"):
        await call("bash", wrong, sh, sessions)


async def test_sessions(sh: Bench, sessions: SessionManager) -> None:
    started = await call("exec_command", {"cmd": "cat", "yield_time_ms": 200}, sh, sessions)
    assert "session ID 1" in started.text
    typed = await call("write_stdin", {"session_id": 1, "chars": "hi\n", "yield_time_ms": 300}, sh, sessions)
    assert typed.text.endswith("Output:\nhi")
    ended = await call("write_stdin", {"session_id": 1, "chars": "\x04"}, sh, sessions)
    assert ended.exit_code == 0
    placed = await call("exec_command", {"cmd": "pwd", "workdir": "/", "max_output_tokens": 5}, sh, sessions)
    assert placed.text.endswith("Output:\n/")
