"""The interactive sessions of a run: programs that the model starts, reads, and writes to."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio

from agent_runtime.errors import ToolError
from agent_runtime.protocol.events import Outcome
from agent_runtime.protocol.messages import clean_text
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell.background import BackgroundProcesses
from agent_runtime.shell.call_processes import Background
from agent_runtime.shell.program_starter import ProgramStarter
from agent_runtime.shell.result_text import dropped, left_running, report_session
from agent_runtime.shell.session import Session
from agent_runtime.shell.session_activity import hang_up_waiting, working
from agent_runtime.shell.session_program import checked_command
from agent_runtime.shell.session_table import SessionTable
from agent_runtime.shell.settings import ShellSettings

_MANY_LEFT = 8


class SessionManager:
    """Starts and keeps interactive sessions.

    Args:
        settings: how they run; `cwd` is where they start by default.
        limit: how many may run at once.
        when_idle: calls a function when the event loop has nothing else to do.

    Attributes:
        ended: the programs that `end_interactive` has ended.
    """

    def __init__(
        self,
        settings: ShellSettings,
        *,
        limit: int = 16,
        when_idle: Callable[[Callable[[], None]], None] = lambda call: call(),
    ) -> None:
        self._settings, self._when_idle = settings, when_idle
        self._programs = ProgramStarter(settings)
        self._sessions = SessionTable(limit)
        self._opening = anyio.Lock(fast_acquire=True)
        # set when there is nothing else to do after a call, and replaced then
        self._calls_over = anyio.Event()
        self._left = BackgroundProcesses()
        self._partials: dict[str, ToolOutput] = {}
        self.ended: list[Background] = []

    async def open(
        self, command: str, *, cwd: str | None, tty: bool, seconds: float, tokens: int, call_id: str
    ) -> ToolOutput:
        """Start a program. While as many run as may, this waits for those that other calls are waiting for.

        Args:
            command: for bash.
            cwd: its directory, relative to the workspace.
            tty: give it a terminal of its own.
            seconds: how long to wait for its end before what it has printed so far is returned.
            tokens: at most so much of the output is returned.
            call_id: names the log file.

        Raises ToolError when it cannot be started, or when too many programs run already.

        When it is cancelled the program is ended; `partial` then gives its result.
        """
        started = time.monotonic()
        # one after the other, so that none takes the place that another has waited for
        async with self._opening:
            if self._left.count > _MANY_LEFT:  # otherwise `prepare` does it, when there is time
                await self._left.forget_ended()
            notes = await self._drop_ended()
            await self._sessions.wait_for_place()
            session = await self._start(command, cwd, tty, call_id)
            number = self._sessions.add(session)
        try:
            async with session.lock:
                await session.run(seconds)
                if session.ended is not None and not session.began:
                    killed, session = session, await self._start(command, cwd, tty, call_id)
                    self._sessions[number] = session
                    await self._close(killed)
                    await session.run(seconds)
                return await self._report(number, tokens, started, notes)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await session.end()
                await session.capture.drain()
                fitted = await session.unread(tokens)
                await self._let_go(number)
                self._partials[call_id] = report_session(
                    fitted, "[cancelled]", time.monotonic() - started, "cancelled"
                )
            raise
        finally:
            self._sessions.call_is_over()
            self._when_idle(self._calls_over.set)

    async def prepare(self) -> None:
        """After each call, prepare for the next one while nothing else is to be done. Runs until cancelled."""
        await self._settings.prepare()
        self._when_idle(self._calls_over.set)
        while True:
            await self._calls_over.wait()
            self._calls_over = anyio.Event()
            await self._programs.prepare()
            idle = anyio.Event()  # the answer of the model may have come by now
            self._when_idle(idle.set)
            await idle.wait()
            await self._left.forget_ended()

    async def write(self, number: int, text: str, *, seconds: float, tokens: int) -> ToolOutput:
        """Write to a session, and return what it has printed since the last call.

        After typing this waits until the program has answered and waits for more input; with an empty text, until the
        program has ended; at most so many seconds. Raises ToolError when there is no such session, or when it does not
        take what is typed.
        """
        started = time.monotonic()
        if session := self._sessions.get(number):
            try:
                async with session.lock:
                    if number in self._sessions:  # the call before this one may have reported its end
                        if text and session.ended is None:
                            await self._type(number, session, text)
                            await session.wait_for_answer(seconds)
                        else:
                            await session.wait(seconds)
                        return await self._report(number, tokens, started, [])
            finally:
                self._sessions.call_is_over()
        raise ToolError(f"session_id: there is no session {number}. {self._sessions.listed()}")

    def partial(self, call_id: str) -> ToolOutput | None:
        """Return the result of a start that was cancelled; once only."""
        return self._partials.pop(call_id, None)

    def background(self) -> list[Background]:
        """Return what is running: sessions, and processes that ended sessions left running."""
        return [session.as_background() for session in self._sessions.running()] + self._left.background()

    def printed(self) -> list[str]:
        """Return the end of the output of each running session."""
        return [session.capture.recent() for session in self._sessions.running()]

    def working(self) -> list[Background]:
        """Return the programs that work: those that neither wait for input nor are servers."""
        return working(self._sessions.running())

    async def end_interactive(self) -> None:
        """Hang up the programs that wait for input, as closing a terminal does; see `ended`. All others go on, and so
        do programs that ignore a hang-up.
        """
        self.ended += await hang_up_waiting(self._sessions.running())

    async def end(self) -> None:
        """End all sessions, and the processes that ended ones have left running. `aclose` has to follow."""
        async with anyio.create_task_group() as tasks:
            for session in self._sessions.values():
                tasks.start_soon(session.end)
            tasks.start_soon(self._left.end)

    async def aclose(self, *, kill: bool) -> None:
        """Detach all sessions: with `kill` end whatever they started, otherwise see `end_interactive`. What goes on
        keeps its log.
        """
        with anyio.CancelScope(shield=True):
            if kill:
                await self.end()
            else:
                await self.end_interactive()
            async with anyio.create_task_group() as tasks:
                for number in list(self._sessions):
                    tasks.start_soon(self._let_go, number)
            await self._programs.aclose()
            await self._left.detach()

    async def _start(self, command: str, cwd: str | None, tty: bool, call_id: str) -> Session:
        command = checked_command(clean_text(command))
        directory = self._settings.cwd / (cwd or "")
        if not directory.is_dir():
            raise ToolError(f"workdir: expected a directory, got {directory}")
        try:
            program = await self._programs.take(directory, tty=tty)
            try:
                return Session(
                    program, command, call_id=call_id, open_log=lambda: self._settings.logs.log(call_id)
                )
            except BaseException:
                await self._programs.discard(program)
                raise
        except OSError as error:
            raise ToolError(f"the command cannot be started: {error}") from error

    async def _type(self, number: int, session: Session, text: str) -> None:
        try:
            await session.type(clean_text(text).encode())
        except OSError as error:
            raise ToolError(f"session {number} takes no input: {error.strerror}") from error

    async def _report(self, number: int, tokens: int, started: float, notes: list[str]) -> ToolOutput:
        with anyio.CancelScope(shield=True):  # what is taken from the session here would be lost
            return await self._take_result(number, tokens, started, notes)
        raise AssertionError("the scope is never cancelled")  # for type checkers

    async def _take_result(self, number: int, tokens: int, started: float, notes: list[str]) -> ToolOutput:
        session = self._sessions[number]
        session.used = time.monotonic()
        code = session.ended
        if code is None:
            state = f"Process running with session ID {number}"
            return report_session(
                await session.unread(tokens), state, time.monotonic() - started, notes=notes
            )
        await session.capture.drain()
        fitted = await session.unread(tokens)
        notes = notes + left_running(await self._let_go(number))
        outcome: Outcome = "failed" if code else "completed"
        state, seconds = f"Process exited with code {code}", time.monotonic() - started
        return report_session(fitted, state, seconds, outcome, code=code, notes=notes)

    async def _let_go(self, number: int) -> list[Background]:
        session = self._sessions.pop(number, None)
        return await self._close(session) if session else []

    async def _close(self, session: Session) -> list[Background]:
        """Detach a session. Returns what it leaves running."""
        await session.close()
        processes = session.processes
        processes.close()
        left, group = processes.background(), processes.empty_group
        if group and not left and not processes.log_writer:
            self._programs.reuse(group)
        else:
            self._left.add(processes)
        return left

    async def _drop_ended(self) -> list[str]:
        """Forget the programs that have ended and whose end was not reported, when they are too many."""
        notes = []
        for number in self._sessions.superfluous():
            notes.append(dropped(number, self._sessions[number].command))
            await self._let_go(number)
        return notes
