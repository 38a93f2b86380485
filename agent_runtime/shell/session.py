"""An interactive program, on a pseudo-terminal or on pipes.

On a pseudo-terminal it has the terminal for its own: control characters act, and a hang-up ends it. Without one its
stdin is a pipe, so that all bytes that are typed arrive, and no program takes it for a terminal.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable

import anyio

from agent_runtime.shell.call_processes import Background, CallProcesses
from agent_runtime.shell.input_wait import READING_SECONDS, waits_for_input
from agent_runtime.shell.keyboard import Keyboard
from agent_runtime.shell.output_capture import SHORT_OUTPUT, OutputCapture
from agent_runtime.shell.output_log import BoundedLog
from agent_runtime.shell.session_program import SessionProgram
from agent_runtime.shell.terminal_output import TerminalOutput
from agent_runtime.shell.truncation import TruncatedOutput
from agent_runtime.system.processes import Process
from agent_runtime.system.terminate import CANCEL_GRACE, ready, terminate
from agent_runtime.system.threads import run_in_thread

_INTERRUPT, _END_OF_INPUT = b"\x03", b"\x04"
_POLL, _LONGEST_POLL = 0.05, 0.5  # seconds between checks whether the program waits for input
_HANG_UP_SECONDS = 0.5  # for a program to end after a hang-up


class Session:
    """A running program, its unreported output, and its keyboard.

    Args:
        program: waits for the command; owned once this is constructed. It is given the command, and begins with `run`.
        command: for bash.
        call_id: the call that starts it.
        open_log: opens the file for what does not fit in memory; called at most once.

    Raises OSError when the command cannot be passed on, as when memory is short.
    """

    def __init__(
        self, program: SessionProgram, command: str, *, call_id: str, open_log: Callable[[], BoundedLog]
    ) -> None:
        self.command = command
        self.lock = anyio.Lock(
            fast_acquire=True
        )  # for the call that types, waits and reads; others come after it
        self.used = time.monotonic()
        self.pid = program.pid
        self.processes = CallProcesses(self.pid, program.marker, program.marker, call_id, program.group)
        self.was_hung_up = False
        self._reported = 0  # bytes of the output
        self.program, self._pidfd, self._is_terminal = program, program.pidfd, program.settings.tty
        program.give(command)
        ends, settings = program.ends, program.settings
        self._input = ends.name
        self._keyboard = Keyboard(ends.keyboard, is_terminal=settings.tty, program=self._pidfd)
        self._screen = (
            TerminalOutput(ends.keyboard, settings.rows, settings.columns) if settings.tty else None
        )
        on_data = self._screen.answer if self._screen else None
        self.capture = OutputCapture(ends.output, open_log, on_data=on_data)

    @property
    def ended(self) -> int | None:
        """The exit code (128 + N for signal N); None while it runs."""
        return self.program.ended

    async def run(self, seconds: float) -> None:
        """Let the program begin, and wait for it: see `wait`."""
        self.program.go()
        await self.wait(seconds)

    @property
    def began(self) -> bool:
        """Whether the program has begun. One that was killed before has not."""
        return self.program.began

    async def wait(self, seconds: float) -> None:
        """Wait for the program to end, at most this many seconds; then also for the rest of its output."""
        with anyio.move_on_after(seconds):
            while self.ended is None:
                await ready(self._pidfd)
        if self.ended is not None:
            await self.capture.settle(self.processes.living)

    async def wait_for_answer(self, seconds: float) -> None:
        """Wait until the program has answered the input and waits for more, or has ended; at most this many seconds."""
        with anyio.move_on_after(seconds):
            seen, since = self.capture.total, time.monotonic()
            interval = _POLL
            while self.ended is None:
                with anyio.move_on_after(interval):
                    await ready(self._pidfd)
                interval = min(interval * 1.1, _LONGEST_POLL)
                if self.capture.total != seen:
                    seen, since = self.capture.total, time.monotonic()
                rest = waits_for_input(self._foreground(), self._input)
                if rest is not None and time.monotonic() - since >= rest:
                    return
        await self.wait(0)

    async def type(self, data: bytes) -> None:
        """Type into the program. Without a terminal \\x03 interrupts the program, and \\x04 ends its input.

        Raises OSError when it has closed its stdin or does not take it all, ToolError for what its terminal would cut.
        """
        if self._is_terminal:
            await self._keyboard.type(data)
            return
        for piece in re.split(b"([\x03\x04])", data):
            if piece == _INTERRUPT:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGINT)
            elif piece == _END_OF_INPUT:
                self._keyboard.close()
            elif piece:
                await self._keyboard.type(piece)

    async def unread(self, tokens: int) -> TruncatedOutput:
        """The output that has not been reported yet, as text, cut to so many tokens."""
        if self._screen is None and self.capture.total <= SHORT_OUTPUT:
            return self._take_unread(tokens)
        return await run_in_thread(self._take_unread, tokens)

    def as_background(self) -> Background:
        """This session as something that runs; its output has no log file while it is a session."""
        calls = self.processes
        return Background(self.pid, self.command, None, calls.started, calls.call_id)

    def living(self) -> list[Process]:
        """All living processes of the session."""
        own = Process.of(self.pid) if self.ended is None else None
        return [*([own] if own else []), *self.processes.living()]

    @property
    def waits_for_input(self) -> bool:
        """Whether the program waits for what is typed. One that does not show it counts as one that works."""
        foreground = self._foreground()
        if waits_for_input(foreground, self._input) == READING_SECONDS:
            return True
        # editors and shells of languages wait for several things at once, and read single keys
        is_sleeping = not any(process.state in "RD" for process in foreground)
        return self._is_terminal and is_sleeping and self._keyboard.takes_keys

    async def end(self) -> None:
        """End all processes of the session."""
        group = self.processes.group
        await terminate(self.living, grace=CANCEL_GRACE, kill=group.kill if group else None)

    async def hang_up(self) -> None:
        """Do what closing a terminal does, and wait a moment for its end: SIGHUP to the command and to what is in the
        foreground, or the end of stdin where that is a pipe. A program may ignore it and go on.
        """
        self.was_hung_up = True
        if self._is_terminal:
            commands = [process.pid for process in self.processes.living() if process.ppid == self.pid]
            for pid in {*commands, *(process.pid for process in self._foreground())}:
                with contextlib.suppress(OSError):
                    group = os.getpgid(pid)
                    os.killpg(group, signal.SIGHUP)
                    os.killpg(group, signal.SIGCONT)  # a stopped process would not see it
        else:
            self._keyboard.close()
        await self.wait(_HANG_UP_SECONDS)

    async def close(self) -> None:
        """Detach the session. Its processes keep running, and their output is logged."""
        await self.capture.drain()
        if self._screen:
            self._screen.close()
        if not self.capture.ended:
            self.processes.log_writer = self.capture.hand_over(hold=self._keyboard.give_away())
        self.capture.close()
        self._keyboard.close()
        self.program.let_go()
        if self.ended is None:
            self.program.process.returncode = 0  # it outlives the runtime, which does not wait for it
            if not self._is_terminal:
                # the program itself; on a terminal it is a shell that waits for the program
                self.processes.root = 0

    def _take_unread(self, tokens: int) -> TruncatedOutput:
        if self._screen:
            return self._screen.report(self.capture, tokens)
        until = self.capture.total
        fitted = self.capture.fit(tokens, since=self._reported, until=until)
        self._reported = until
        return fitted

    def _foreground(self) -> list[Process]:
        # the processes that may read what is typed
        if not self._is_terminal:
            return self.living()
        found = []
        with contextlib.suppress(OSError):
            group = os.tcgetpgrp(self._keyboard.fd)
            for process in self.processes.living():
                with contextlib.suppress(ProcessLookupError):
                    if os.getpgid(process.pid) == group:
                        found.append(process)
        return found
