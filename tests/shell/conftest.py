from __future__ import annotations

import os
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
