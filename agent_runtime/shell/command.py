"""A command in the shell: waits for its end, stops it, and builds its result."""

from __future__ import annotations

import signal
import time
from dataclasses import field
from functools import partial
from pathlib import Path

import anyio

from agent_runtime.lazy import dataclass
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell.bash_process import BashProcess
from agent_runtime.shell.bash_script import STOP
from agent_runtime.shell.call_processes import CallProcesses
from agent_runtime.shell.live_output import LiveOutput
from agent_runtime.shell.output_capture import SHORT_OUTPUT, OutputCapture
from agent_runtime.shell.result_text import Ending, report
from agent_runtime.system.processes import Process
from agent_runtime.system.terminate import CANCEL_GRACE, GRACE, describe, ended, terminate
from agent_runtime.system.threads import run_in_thread

CLOSE_SECONDS = 0.5  # seconds for the EXIT trap of a shell that was asked to stop
_EXIT_SECONDS = 0.05  # for what has closed its output, or was killed, to end: it is not left running
_LEAVE_SECONDS = 0.01  # for what still has the output: it goes on, unless it has been asked to end


@dataclass
class Command:
    """A command that the shell executes.

    Attributes:
        number: of the command, for `bash`.
        tokens: at most so much of the output is returned.
        bash: the shell.
        pipe: the FIFO that the command prints into.
        capture: reads that.
        processes: the processes that the command starts.
        ending: how it ends, as far as that is known.
        live: sends pieces of the output as they come.
        was_waiting: when its time was over, nothing ran that it had started.
    """

    number: int
    tokens: int
    bash: BashProcess
    pipe: Path
    capture: OutputCapture
    processes: CallProcesses
    ending: Ending
    live: LiveOutput | None = None
    was_waiting: bool = False
    began: float = field(default_factory=time.monotonic)

    async def until_end(self, seconds: float) -> None:
        """Wait until the shell has finished the command, which is stopped after its timeout."""
        with anyio.move_on_after(seconds) as limit:
            self.ending.status = await self._status()
        if limit.cancelled_caught:
            self.ending.timeout = seconds
            self.was_waiting = not self.processes.living()
            await self.stop(GRACE)
            return
        if (
            self.bash.ended or 0
        ) < 0:  # a signal to its process group (`kill 0`) is meant for the jobs of the call too
            await terminate(self._jobs)
        await self.capture.settle(self.processes.living)

    async def stop(self, grace: float = CANCEL_GRACE) -> None:
        """End all processes of the command, and the shell, which saves its state first.

        `grace`: seconds until SIGKILL.
        """
        self.bash.send(STOP)
        await terminate(self.processes.living, grace=grace, kill=self.processes.kill)
        if self.bash.ended is None and not await self.bash.wait(CLOSE_SECONDS):
            self.bash.send(signal.SIGKILL)
            await self.bash.wait(1.0)
        survivors = await terminate(self.processes.living, grace=0, kill=self.processes.kill)
        self.ending.survivors = [describe(process) for process in survivors]

    async def detach(self) -> None:
        """Take what has been printed by now. What may follow goes to a log, which a helper process writes."""
        self.ending.seconds = time.monotonic() - self.began
        await self.capture.drain()
        self.pipe.unlink(missing_ok=True)
        is_alone = not await self._wait_for_exits()
        if not self.capture.ended:
            self.processes.log_writer = self.capture.hand_over()
        elif is_alone:
            return  # no process is left that could start another one
        self.ending.left = self.processes.background()

    async def result(self) -> ToolOutput:
        """Return the result for the model. To be called after `detach`."""
        final = self.live.sent_bytes if self.live else 0
        fit = partial(self.capture.fit, self.tokens, final=final)
        fitted = fit() if self.capture.total <= SHORT_OUTPUT else await run_in_thread(fit)
        self.capture.close()
        log = self.capture.log
        if log and log.lost:
            self.ending.lost = (
                f"{log.lost} bytes of the output could not be written to {log.path}: {log.error}"
            )
        return report(self.ending, fitted)

    async def _wait_for_exits(self) -> bool:
        """Wait for processes that are about to end. Returns whether there were any processes."""
        staying: list[Process] = []
        leaving: list[Process] = []
        for process in self.processes.living():
            stays = not self.capture.ended and self.capture.is_open_in(process) and not process.is_dying
            (staying if stays else leaving).append(process)
        if staying:
            await ended(staying, _LEAVE_SECONDS)
        if leaving:
            await ended(leaving, _EXIT_SECONDS)
        return bool(staying or leaving)

    def _jobs(self) -> list[Process]:
        """Return the processes of the call that are in the session of the shell."""
        return [process for process in self.processes.living() if process.session == self.bash.pid]

    async def _status(self) -> int | None:
        idle = False
        while True:
            with anyio.move_on_after(1.0):
                return await self.bash.status(self.number)
            if idle and self.bash.idle:  # it read the command and did not run it: `set -n`
                self.ending.notes.append("[the shell no longer executed commands (`set -n`?) and was ended]")
                self.bash.send(signal.SIGKILL)
            idle = self.bash.idle
