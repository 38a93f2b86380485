"""Starts the programs of sessions, where possible before their commands are known: while the model is awaited."""

from __future__ import annotations

import itertools
from contextlib import suppress
from pathlib import Path

import anyio

from agent_runtime.shell.call_processes import marker_of
from agent_runtime.shell.session_program import ProgramSettings, SessionProgram
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.system.cgroup import ControlGroup
from agent_runtime.system.subreaper import become_subreaper
from agent_runtime.system.threads import run_in_thread

_numbers = itertools.count(1)  # of the programs of this process, which may have several runs


class ProgramStarter:
    """Has at most one program that waits for a command. One that has ended, or was started otherwise than the next
    command needs it, is replaced.

    Args:
        settings: how they run; `cwd` is where they start by default.
    """

    def __init__(self, settings: ShellSettings) -> None:
        become_subreaper()
        self._settings = settings
        self._waiting: SessionProgram | None = None
        self._groups: list[ControlGroup] = []  # empty ones; to make and to remove one may take milliseconds
        self._cwd = settings.cwd  # of the last command
        self._lock = anyio.Lock(fast_acquire=True)

    async def take(self, cwd: Path, *, tty: bool) -> SessionProgram:
        """Return a program that waits for its command. Raises OSError when it cannot be started.

        Args:
            cwd: its directory.
            tty: give it a terminal of its own.
        """
        self._cwd = cwd
        settings = await self._program(cwd, tty=tty)
        async with self._lock:
            waiting = self._waiting
            if waiting and waiting.suits(settings):
                self._waiting = None
                return waiting
        return self._start(settings)

    async def prepare(self) -> None:
        """Start the program of the next command, where it is most likely to run: in the directory of the last one."""
        settings = await self._program(self._cwd, tty=False)
        async with self._lock:
            if self._waiting and self._waiting.suits(settings):
                return
            await self._discard()
            with suppress(OSError):  # as when the directory is gone, or at a limit: the next call says so
                self._waiting = self._start(settings)

    async def discard(self, program: SessionProgram) -> None:
        """End a program that was not given to a session."""
        with anyio.CancelScope(shield=True):
            await run_in_thread(program.discard)
            if program.group:
                self.reuse(program.group)

    def reuse(self, group: ControlGroup) -> None:
        """Let a later program have a control group without processes, if it is as it was created."""
        self._groups.append(group)

    async def aclose(self) -> None:
        """End the program that waits."""
        async with self._lock:
            await self._discard()
        groups, self._groups = self._groups, []
        for group in groups:
            await run_in_thread(group.close)

    async def _program(self, cwd: Path, *, tty: bool) -> ProgramSettings:
        settings = self._settings
        env = await settings.environment()
        return ProgramSettings(cwd, env, tty, settings.user, settings.confine)

    def _start(self, settings: ProgramSettings) -> SessionProgram:
        marker = marker_of(f"session-{next(_numbers)}")
        group = self._group(marker)
        try:
            return SessionProgram(settings, marker, group)
        except BaseException:
            if group:
                self.reuse(group)
            raise

    def _group(self, name: str) -> ControlGroup | None:
        """A group as it was created: one that was used, when no program has changed it."""
        while self._groups:
            group = self._groups.pop()
            if group.is_as_created:
                return group
            group.close()
        return ControlGroup.create(name)

    async def _discard(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting:
            await self.discard(waiting)
