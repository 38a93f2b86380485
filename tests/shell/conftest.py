from __future__ import annotations

import os
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell.environment import tool_environment
from agent_runtime.shell.session_manager import SessionManager
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.shell.shell import Shell
from agent_runtime.shell.truncation import OutputStore
from tests.support.waiting import until_async


@dataclass
class Bench:
    """A shell with a shorter call."""

    shell: Shell
    home: Path
    calls: int = 0
    pieces: list[str] = field(default_factory=list)

    async def __call__(self, command: str, timeout: float = 20.0, tokens: int = 10_000) -> ToolOutput:  # noqa: ASYNC109
        self.calls += 1
        self.pieces.clear()

        async def keep(piece: str) -> None:
            self.pieces.append(piece)

        result = await self.shell.run(
            command, timeout=timeout, call_id=f"call-{self.calls}", tokens=tokens, on_output=keep
        )
        assert "".join(self.pieces) == result.text
        return result

    async def saved(self) -> None:
        """Wait until the shell was asked to save its state, which it does while a model thinks."""
        bash = self.shell._bash
        await until_async(lambda: bash is None or bash._is_saved)


def make_shell(home: Path, user: str | None = None) -> Shell:
    return Shell(settings(home, user))


def settings(home: Path, user: str | None = None) -> ShellSettings:
    return ShellSettings(home, clean_env(user), OutputStore(home.parent / "logs"), user)


def clean_env(user: str | None = None) -> dict[str, str]:
    return tool_environment(os.environ, extra={}, hidden=[], user=user)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
async def sh(home: Path) -> AsyncIterator[Bench]:
    shell = make_shell(home)
    yield Bench(shell, home)
    await shell.aclose(kill=True)


@pytest.fixture
async def sessions(home: Path) -> AsyncIterator[SessionManager]:
    sessions = SessionManager(settings(home))
    yield sessions
    await sessions.aclose(kill=True)


async def start(
    sessions: SessionManager, command: str, *, tty: bool = False, seconds: float = 5, tokens: int = 1000
) -> ToolOutput:
    return await sessions.open(command, cwd=None, tty=tty, seconds=seconds, tokens=tokens, call_id="call")


async def write(sessions: SessionManager, number: int, text: str, seconds: float = 0.5) -> str:
    return body(await sessions.write(number, text, seconds=seconds, tokens=1000))


def body(result: ToolOutput) -> str:
    return result.text.partition("Output:\n")[2]


def number(result: ToolOutput) -> int:
    found = re.search(r"session ID (\d+)", result.text)
    assert found, result.text
    return int(found[1])


async def until(sessions: SessionManager, session: int, wanted: str) -> str:
    seen, deadline = "", time.monotonic() + 8
    while wanted not in seen:
        assert time.monotonic() < deadline, seen
        seen += await write(sessions, session, "", 0.2)
    return seen
