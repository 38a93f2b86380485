"""One command on its way through the shell: from its first byte of output to its result."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

import anyio

from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell.bash_process import STOP, BashProcess
from agent_runtime.shell.call_processes import CallProcesses
from agent_runtime.shell.output_capture import OutputCapture
from agent_runtime.shell.result_text import Ending, report
from agent_runtime.system.terminate import CANCEL_GRACE, GRACE, ended, terminate

LAST_WORDS = 0.5  # seconds that a shell told to stop has for its EXIT trap
_LAST_STEPS = 0.05  # seconds for what has closed its output to end; it is not left running


@dataclass
class Command:
    """A command that the shell has been given.

    Args:
        number: of the command, for `bash`.
        tokens: at most so much of the output is returned.
        bash: the shell.
        pipe: where the command prints.
        capture: reads that.
        family: the processes that the command starts.
        ending: how it ends, as far as that is known.
    """

    number: int
    tokens: int
    bash: BashProcess
    pipe: Path
    capture: OutputCapture
    family: CallProcesses
    ending: Ending
    began: float = field(default_factory=time.monotonic)

    async def until_end(self, seconds: float) -> None:
        """Wait until the shell has finished it, at most so long; then it is stopped."""
        with anyio.move_on_after(seconds) as limit:
            self.ending.status = await self._status()
        if limit.cancelled_caught:
            self.ending.timeout = seconds
            await self.stop(GRACE)
        else:
            await self.capture.settle(self.family.living)

    async def stop(self, grace: float = CANCEL_GRACE) -> None:
        """End all that it started, and the shell, which writes its state down. `grace`: seconds until SIGKILL."""
        self.bash.send(STOP)
        await terminate(self.family.living, grace=grace, kill=self.family.kill)
        if self.bash.ended is None and not await self.bash.wait(LAST_WORDS):
            self.bash.send(signal.SIGKILL)
            await self.bash.wait(1.0)
        await terminate(self.family.living, grace=0, kill=self.family.kill)

    async def detach(self) -> Popen[bytes] | None:
        """Take what has been printed by now. The rest, when there can be one, goes to the keeper that is returned."""
        self.ending.seconds = time.monotonic() - self.began
        await self.capture.drain()
        self.pipe.unlink(missing_ok=True)
        await ended(self.family.living(), _LAST_STEPS)
        keeper = None
        if not self.capture.ended:
            self.family.log_file = self.capture.spilled().path
            keeper = self.capture.hand_over()
            self.family.keeper = keeper.pid
        self.ending.left = self.family.background()
        return keeper

    def result(self) -> ToolOutput:
        """What the model gets. After `detach`."""
        fitted = self.capture.fit(self.tokens)
        self.capture.close()
        log = self.capture.log
        if log and log.lost:
            self.ending.lost = (
                f"{log.lost} bytes of the output could not be written to {log.path}: {log.error}"
            )
        return report(self.ending, fitted)

    async def _status(self) -> int | None:
        idle = False
        while True:
            with anyio.move_on_after(1.0):
                return await self.bash.status(self.number)
            if idle and self.bash.idle:  # it went past the command without a word: `set -n`
                self.ending.notes.append("[the shell no longer executed commands (`set -n`?) and was ended]")
                self.bash.send(signal.SIGKILL)
            idle = self.bash.idle
