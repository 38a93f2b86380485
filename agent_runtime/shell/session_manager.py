"""The sessions of a run: several programs that the model starts, reads, types into and comes back to."""

from __future__ import annotations

import time

import anyio

from agent_runtime.errors import ToolError
from agent_runtime.protocol.events import Outcome
from agent_runtime.protocol.messages import clean_text
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell.background import BackgroundProcesses
from agent_runtime.shell.call_processes import Background, marker_of
from agent_runtime.shell.result_text import left_running
from agent_runtime.shell.session import Session, SessionStart
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.shell.truncation import TruncatedOutput
from agent_runtime.system.subreaper import become_subreaper

LONGEST_COMMAND = 120_000  # bytes; one argument of execve may have 131,072


class SessionManager:
    """Interactive sessions.

    Args:
        settings: how they run; `cwd` is where they start by default.
        limit: how many may run at once; the one unused for longest makes room for a new one.
    """

    def __init__(self, settings: ShellSettings, *, limit: int = 16) -> None:
        self._settings = settings
        self._limit = limit
        self._sessions: dict[int, Session] = {}
        self._number = 0
        self._opening = anyio.Lock()
        self._left = BackgroundProcesses()
        self._partials: dict[str, ToolOutput] = {}

    async def open(
        self, command: str, *, cwd: str | None, tty: bool, seconds: float, tokens: int, call_id: str
    ) -> ToolOutput:
        """SessionStart a program.

        Args:
            command: for bash.
            cwd: its directory, relative to the workspace.
            tty: give it a terminal of its own.
            seconds: how long to wait for its end before the model is given what there is.
            tokens: at most so much of the output is returned.
            call_id: names the log file.

        When it is cancelled the program is ended; `partial` then gives its result.
        """
        started = time.monotonic()
        async with self._opening:  # the room that was made is not taken by another call
            notes = await self._make_room()
            self._number += 1
            number = self._number
            session = self._start(number, command, cwd, tty, call_id)
            self._sessions[number] = session
        try:
            async with session.lock:
                await session.begin()
                await session.wait(seconds)
                return await self._report(number, tokens, started, notes)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await session.end()
                fitted = session.unread(tokens)
                await self._let_go(number)
                self._partials[call_id] = _result(
                    fitted, "[cancelled]", time.monotonic() - started, "cancelled"
                )
            raise

    async def write(self, number: int, text: str, *, seconds: float, tokens: int) -> ToolOutput:
        """Type into a session (an empty text only looks), wait so many seconds, and give what it has printed since."""
        started = time.monotonic()
        if session := self._sessions.get(number):
            async with session.lock:
                if number in self._sessions:  # the call before this one may have told of its end
                    await self._type(number, session, text)
                    await session.wait(seconds)
                    return await self._report(number, tokens, started, [])
        raise ToolError(f"session_id: there is no session {number}. {self._listed()}")

    def partial(self, call_id: str) -> ToolOutput | None:
        """The result of a start that was cancelled. Given once."""
        return self._partials.pop(call_id, None)

    def background(self) -> list[Background]:
        """What runs: sessions, and what ended sessions left behind."""
        running = [
            Background(s.pid, s.start.command, None, s.processes.started, s.processes.call_id)
            for s in self._sessions.values()
            if s.ended is None
        ]
        return running + self._left.background()

    def printed(self) -> list[str]:
        """The end of what each running session has printed so far."""
        return [session.capture.recent() for session in self._sessions.values() if session.ended is None]

    async def aclose(self, *, kill: bool) -> None:
        """Let go of all sessions; with `kill` end whatever they started, otherwise that goes on and keeps its logs."""
        with anyio.CancelScope(shield=True):
            if kill:
                async with anyio.create_task_group() as tasks:
                    for session in self._sessions.values():
                        tasks.start_soon(session.end)
                    tasks.start_soon(self._left.end)
            for number in list(self._sessions):
                await self._let_go(number)
            await self._left.detach()

    def _start(self, number: int, command: str, cwd: str | None, tty: bool, call_id: str) -> Session:
        command = clean_text(command)
        if "\0" in command:
            raise ToolError("cmd: it has a NUL character in it, which no command line can hold")
        if len(command.encode()) > LONGEST_COMMAND:
            raise ToolError(f"cmd: longer than {LONGEST_COMMAND} bytes; write a script file and run that")
        directory = self._settings.cwd / (cwd or "")
        if not directory.is_dir():
            raise ToolError(f"workdir: {directory} is not a directory")
        become_subreaper()
        settings = self._settings
        start = SessionStart(command, directory, settings.env, tty, settings.user, settings.confine)
        marker = marker_of(f"session-{number}")
        try:
            return Session(start, call_id=call_id, marker=marker, open_log=lambda: settings.logs.log(call_id))
        except OSError as error:
            raise ToolError(f"the command cannot be started: {error}") from error

    async def _type(self, number: int, session: Session, text: str) -> None:
        if text and session.ended is None:
            try:
                await session.type(clean_text(text).encode())
            except OSError as error:
                raise ToolError(f"session {number} does not take any input now: {error.strerror}") from error

    async def _report(self, number: int, tokens: int, started: float, notes: list[str]) -> ToolOutput:
        session = self._sessions[number]
        session.used = time.monotonic()
        code = session.ended
        if code is None:
            return _result(
                session.unread(tokens),
                f"Process running with session ID {number}",
                session.used - started,
                notes=notes,
            )
        await session.capture.drain()
        fitted = session.unread(tokens)
        await self._let_go(number)
        notes += left_running(session.processes.background())
        outcome: Outcome = "failed" if code else "completed"
        seconds = time.monotonic() - started
        return _result(fitted, f"Process exited with code {code}", seconds, outcome, code=code, notes=notes)

    async def _let_go(self, number: int) -> None:
        if session := self._sessions.pop(number, None):
            await session.close()
            self._left.add(session.processes)

    async def _make_room(self) -> list[str]:
        await self._left.forget_ended()
        if len(self._sessions) < self._limit:
            return []
        number = min(self._sessions, key=self._spare)
        session = self._sessions[number]
        await session.end()
        async with session.lock:  # a call that waits for it tells of its end
            await self._let_go(number)
        command = session.start.command[:100]
        return [f"[at most {self._limit} sessions run at once: session {number} ({command}) was ended]"]

    def _spare(self, number: int) -> tuple[bool, bool, float]:
        session = self._sessions[number]
        return session.ended is None, session.lock.locked(), session.used

    def _listed(self) -> str:
        running = ", ".join(f"{n} ({s.start.command[:60]})" for n, s in self._sessions.items())
        return f"Running: {running}." if running else "None is running."


def _result(
    fitted: TruncatedOutput,
    state: str,
    seconds: float,
    outcome: Outcome = "completed",
    *,
    code: int | None = None,
    notes: list[str] | None = None,
) -> ToolOutput:
    lines = [f"Wall time: {seconds:.4f} seconds", state, "Output:", fitted.text, *(notes or [])]
    return ToolOutput.of(
        "\n".join(lines),
        is_error=outcome != "completed",
        outcome=outcome,
        exit_code=code,
        truncated=fitted.truncated,
        output_bytes=fitted.output_bytes if fitted.truncated else None,
        output_file=fitted.output_file,
    )
