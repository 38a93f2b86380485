"""What calls left running, as long as it runs."""

from __future__ import annotations

from subprocess import Popen

from anyio import to_thread

from agent_runtime.shell.call_processes import Background, CallProcesses
from agent_runtime.system.processes import Process
from agent_runtime.system.terminate import CANCEL_GRACE, terminate


class BackgroundProcesses:
    """The families of calls that are over, and the keepers of their logs."""

    def __init__(self) -> None:
        self._families: list[CallProcesses] = []
        self._keepers: list[Popen[bytes]] = []

    def add(self, family: CallProcesses, keeper: Popen[bytes] | None = None) -> None:
        """A call is over. `keeper`: of its log, when there is one."""
        family.closed = True
        self._families.append(family)
        if keeper:
            self._keepers.append(keeper)

    def background(self) -> list[Background]:
        """What still runs, for the model."""
        return [process for family in self._families for process in family.background()]

    async def tidy(self) -> None:
        """Forget what has ended meanwhile."""
        over = [family for family in self._families if family.over]
        self._families = [family for family in self._families if family not in over]
        self._keepers = [keeper for keeper in self._keepers if keeper.poll() is None]
        await _remove_groups(over)

    async def end(self) -> None:
        """End all of it."""
        await terminate(self._living, grace=CANCEL_GRACE, kill=self._kill)

    async def detach(self) -> None:
        """It goes on without us."""
        for keeper in self._keepers:
            if keeper.poll() is None:
                keeper.returncode = 0  # nobody is to wait for it
        await _remove_groups(self._families)

    def _living(self) -> list[Process]:
        return [process for family in self._families for process in family.living()]

    def _kill(self) -> None:
        for family in self._families:
            family.kill()


async def _remove_groups(families: list[CallProcesses]) -> None:
    for family in families:
        if family.group:
            await to_thread.run_sync(family.group.close)
