from __future__ import annotations

import math
import os
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest

from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell import keyboard
from agent_runtime.shell.environment import tool_environment
from agent_runtime.shell.session_manager import SessionManager
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.shell.shell import Shell
from agent_runtime.shell.truncation import OutputStore
from agent_runtime.system import terminate
from tests.support.waiting import until_async

PATIENT = 60.0  # seconds for what must come: a busy machine takes its time
UNTIL_GO = "until test -e go; do sleep 0.02; done"  # a command that waits for the test


class Limit(float):
    """A time limit that is over when the test says so, whatever the clock does. `seconds` is what is reported."""

    scope: anyio.CancelScope | None = None

    async def end_when(self, condition: Callable[[], object]) -> None:
        """Let the time be over as soon as the condition is true."""
        await until_async(lambda: self.scope is not None and condition())
        assert self.scope
        self.scope.deadline = -math.inf


@dataclass
class Bench:
    """A shell with a shorter call."""

    shell: Shell
    home: Path
    calls: int = 0
    pieces: list[str] = field(default_factory=list)

    async def __call__(self, command: str, timeout: float = PATIENT, tokens: int = 10_000) -> ToolOutput:  # noqa: ASYNC109
        self.calls += 1
        self.pieces.clear()

        async def keep(piece: str) -> None:
            self.pieces.append(piece)

        result = await self.shell.run(
            command, timeout=timeout, call_id=f"call-{self.calls}", tokens=tokens, on_output=keep
        )
        assert "".join(self.pieces) == result.text
        return result

    async def timed_out(self, command: str, condition: Callable[[], object] | None = None) -> ToolOutput:
        """Run a command, the time of which (0.7 s) is over when the condition is true.

        Args:
            command: for bash.
            condition: by default whether there is the file `up`.
        """
        limit = Limit(0.7)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(limit.end_when, condition or (self.home / "up").exists)
            return await self(command, timeout=limit)
        raise AssertionError("the group is never cancelled")  # for type checkers

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


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch, limits: None) -> None:
    """Limits of the program that a busy machine may exceed are longer; and `Limit` is one that a test ends."""
    monkeypatch.setattr(keyboard, "TIMEOUT", PATIENT)
    monkeypatch.setattr(terminate, "_KILLING", PATIENT)


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a `Limit` be a time limit that the test ends."""
    move_on_after = anyio.move_on_after

    def move_on(delay: float | None, shield: bool = False) -> anyio.CancelScope:
        if not isinstance(delay, Limit):
            return move_on_after(delay, shield)
        delay.scope = move_on_after(math.inf, shield)
        return delay.scope

    monkeypatch.setattr(anyio, "move_on_after", move_on)


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
    sessions: SessionManager,
    command: str,
    *,
    tty: bool = False,
    seconds: float = PATIENT,
    tokens: int = 1000,
) -> ToolOutput:
    """Start a program and wait for its end, at most this many seconds."""
    return await sessions.open(command, cwd=None, tty=tty, seconds=seconds, tokens=tokens, call_id="call")


async def start_until(
    sessions: SessionManager, command: str, wanted: str, *, tty: bool = False
) -> tuple[int, str]:
    """Start a program, and wait until it has printed a text. Returns the session, and all that it has printed."""
    go = sessions._settings.cwd / "go"
    go.unlink(missing_ok=True)
    session = number(await start(sessions, f"{UNTIL_GO}; {command}", tty=tty, seconds=0))
    go.touch()
    capture = sessions._sessions[session].capture
    await until_async(lambda: wanted in capture.recent())
    return session, await write(sessions, session, "", 0)


async def write(sessions: SessionManager, number: int, text: str, seconds: float = PATIENT) -> str:
    """Type into a program, and return what it prints until it waits for input again, or has ended."""
    return body(await sessions.write(number, text, seconds=seconds, tokens=1000))


async def write_until(sessions: SessionManager, session: int, text: str, wanted: str) -> str:
    """Type into a program that does not wait for input after it has printed what is wanted."""
    capture = sessions._sessions[session].capture
    seen = await write(sessions, session, text, 0)
    await until_async(lambda: wanted in capture.recent())
    return seen + await write(sessions, session, "", 0)


async def until_waiting(sessions: SessionManager, session: int) -> None:
    """Wait until a program waits for input."""
    program = sessions._sessions[session]
    await until_async(lambda: program.waits_for_input)


def body(result: ToolOutput) -> str:
    return result.text.partition("Output:\n")[2]


def number(result: ToolOutput) -> int:
    found = re.search(r"session ID (\d+)", result.text)
    assert found, result.text
    return int(found[1])
