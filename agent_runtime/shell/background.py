"""Keeps track of the processes that calls left running."""

from __future__ import annotations

from collections.abc import Iterable

import anyio

from agent_runtime.shell.call_processes import Background, CallProcesses
from agent_runtime.system.cgroup import ControlGroup
from agent_runtime.system.processes import Process
from agent_runtime.system.terminate import CANCEL_GRACE, terminate
from agent_runtime.system.threads import run_in_thread


class BackgroundProcesses:
    """The processes of calls that are over, and the helpers that write their logs."""

    def __init__(self) -> None:
        self._calls: list[CallProcesses] = []

    def add(self, processes: CallProcesses) -> None:
        """Add the processes of a call that has ended."""
        processes.close()
        self._calls.append(processes)

    def background(self) -> list[Background]:
        """Return what is still running, as it is reported to the model."""
        return [process for call in self._calls for process in call.background()]

    @property
    def count(self) -> int:
        """The number of calls that are not forgotten."""
        return len(self._calls)

    async def forget_ended(self) -> None:
        """Forget the calls whose processes have all ended."""
        over = [call for call in self._calls if call.over]
        self._calls = [call for call in self._calls if call not in over]
        await _let_go(over)

    async def end(self, grace: float = CANCEL_GRACE) -> list[Process]:
        """End all processes. Returns those that could not be ended.

        `grace`: seconds until SIGKILL.
        """
        return await terminate(self._living, grace=grace, kill=self._kill)

    async def detach(self) -> None:
        """Detach the processes: they keep running without the runtime."""
        await _let_go(self._calls)

    def _living(self) -> list[Process]:
        return [process for call in self._calls for process in call.living()]

    def _kill(self) -> None:
        for call in self._calls:
            call.kill()


async def _let_go(calls: Iterable[CallProcesses]) -> None:
    kept: list[ControlGroup] = []
    for call in calls:
        if call.log_writer:
            call.log_writer.detach()
        if call.group and not call.group.remove():
            kept.append(call.group)
    if kept:
        async with anyio.create_task_group() as tasks:
            for group in kept:
                tasks.start_soon(run_in_thread, group.close)
