"""The settings with which the shell and the sessions of a run are started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from agent_runtime.lazy import dataclass
from agent_runtime.shell.truncation import OutputStore
from agent_runtime.system.cgroup import speed_up
from agent_runtime.system.threads import run_in_thread

if TYPE_CHECKING:
    from agent_runtime.shell.login_environment import LoginEnvironment
    from agent_runtime.system.landlock import Confinement


@dataclass(frozen=True)
class ShellSettings:
    """The settings of commands.

    Attributes:
        cwd: the directory that commands start in.
        env: their variables; see `environment.tool_environment`.
        logs: the files of outputs that are too long for the model, and of what is left running.
        user: whom they run as; None for the user of this process, which must be root otherwise.
        confine: where they may write; None for everywhere. The temporary folder must be part of it.
        changed: variables that have changed since the start of the run, as after the thaw of a fork.
        login: adds what the login files of the image set; None to leave them alone.
    """

    cwd: Path
    env: Mapping[str, str]
    logs: OutputStore
    user: str | None = None
    confine: Confinement | None = None
    login: LoginEnvironment | None = None
    changed: dict[str, str] = field(default_factory=dict)

    async def environment(self) -> Mapping[str, str]:
        """Return the environment of a command."""
        variables = await self.login.variables() if self.login else self.env
        return {**variables, **self.changed}

    async def prepare(self) -> None:
        """Read the login files, and meanwhile prepare for the first control group: both take milliseconds."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_in_thread, speed_up)
            await self.environment()

    def set_variables(self, variables: Mapping[str, str]) -> None:
        """Give commands other values of these variables from now on, also those of a shell that is running."""
        self.changed.update(variables)
