"""The arguments of `bash`, `exec_command` and `write_stdin` that bound a call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from agent_runtime.agent.services import SessionService, ShellService
from agent_runtime.agent.tool import ToolContext
from agent_runtime.errors import ToolError
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import load

pytestmark = pytest.mark.anyio


class Services:
    """Notes how long a call may take."""

    def __init__(self) -> None:
        self.seconds: float | None = None

    async def run(self, command: str, *, timeout: float, **_: Any) -> ToolOutput:  # noqa: ASYNC109
        self.seconds = timeout
        return ToolOutput.of("ran")

    async def open(self, command: str, *, seconds: float, **_: Any) -> ToolOutput:
        self.seconds = seconds
        return ToolOutput.of("ran")

    async def write(self, number: int, text: str, *, seconds: float, **_: Any) -> ToolOutput:
        self.seconds = seconds
        return ToolOutput.of("ran")


async def seconds(tool: str, arguments: dict[str, Any], limit: float | None) -> float | None:
    services = Services()
    context = replace(
        ToolContext("call", *[None] * 7),  # type: ignore[arg-type]
        shell=cast(ShellService, services),
        sessions=cast(SessionService, services),
        tool_timeout=limit,
    )
    assert (await load(tool).call(arguments, context)).text == "ran"
    return services.seconds


@pytest.mark.parametrize(
    ("wanted", "limit", "expected"),
    [
        (None, None, 120),
        (None, 30, 30),
        (None, 900, 600),
        (20, 2, 2),
        (2, 20, 2),
        (900, None, 600),
        (7200, None, 600),
        (120_000, None, 120),
        (30_000, 10, 10),
        (3_600_000, None, 600),
        (0.5, None, 0.5),
    ],
)
async def test_the_timeout_argument_is_converted_and_bounded(
    wanted: float | None, limit: float | None, expected: float
) -> None:
    assert await seconds("bash", {"command": "x", "timeout": wanted}, limit) == expected


@pytest.mark.parametrize("tool", ["exec_command", "write_stdin"])
@pytest.mark.parametrize(
    ("wanted", "limit", "expected"), [(60_000, 2, 2), (1_000, 2, 1), (900_000, None, 600)]
)
async def test_the_wait_argument_is_converted_and_bounded(
    tool: str, wanted: int, limit: float | None, expected: float
) -> None:
    arguments = {"cmd": "x"} if tool == "exec_command" else {"session_id": 1}
    assert await seconds(tool, {**arguments, "yield_time_ms": wanted}, limit) == expected


@pytest.mark.parametrize(("tool", "expected"), [("exec_command", 10), ("write_stdin", 5)])
async def test_a_null_as_the_wait_argument_means_the_default(tool: str, expected: float) -> None:
    arguments = {"cmd": "x"} if tool == "exec_command" else {"session_id": 1}
    assert await seconds(tool, {**arguments, "yield_time_ms": None}, None) == expected


@pytest.mark.parametrize(
    "extra", ["description", "run_in_background", "login", "justification", "sandbox_permissions"]
)
async def test_arguments_of_other_tools_are_ignored(extra: str) -> None:
    assert await seconds("bash", {"command": "x", extra: "Lists files"}, None) == 120


@pytest.mark.parametrize(
    "arguments", [{}, {"description": "x"}, {"cmd": "x"}, {"command": "x", "timeout": 0}]
)
async def test_a_command_that_cannot_be_run_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ToolError):
        await seconds("bash", arguments, None)
