"""One bash process that takes commands one after the other.

BashProcess reads its script from a pipe (its stdin) and gets each command as one line,

    { \\builtin eval 'COMMAND'; } </dev/null >FIFO 2>&1      and then      \\builtin printf 'N STATUS' >&REPORT

so the command is parsed as a unit (an open quote is an error, never a wait), has its own output pipe whatever it
does to the shell's descriptors, and its end is reported over a descriptor that its children do not have. Job control
gives each pipeline a process group of its own: `kill 0` in a script reaches neither the shell nor the servers of
earlier calls. When the shell is idle, is about to end (exit, set -e) or is asked to stop (SIGRTMAX, at a timeout), it
saves its state for the next one (see shell_state).

Nothing here makes the shell fork: at the limit of processes `kill %1` must still work.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from agent_runtime.shell.bash_script import command_script, exports, prologue
from agent_runtime.shell.shell_state import LONG_SAVE, ShellState, save
from agent_runtime.system import processes
from agent_runtime.system.pipes import pipe
from agent_runtime.system.spawn import spawn
from agent_runtime.system.terminate import ready

if TYPE_CHECKING:
    from agent_runtime.system.landlock import Confinement

_DELETED = " (deleted)"  # what proc(5) says of it; a directory may also be called that
_IDLE = 0.01  # seconds
_READ = {"x86_64": 0, "aarch64": 63}  # the number of read(2)


class BashProcess:
    """A running bash.

    Args:
        cwd: where it starts.
        env: its variables.
        marker: the value of processes.MARKER that it and its subshells have.
        state: where it finds the state of its predecessor, and saves its own.
        user: whom it runs as.
        confine: where it may write.

    Raises OSError when it cannot be started.
    """

    def __init__(
        self,
        *,
        cwd: Path,
        env: Mapping[str, str],
        marker: str,
        state: ShellState,
        user: str | None,
        confine: Confinement | None,
    ) -> None:
        self.marker = marker
        with contextlib.ExitStack() as own, contextlib.ExitStack() as passed:
            script, self._script = pipe(passed, own)
            self._report, report = pipe(own, passed)
            os.set_blocking(self._script, False)
            os.set_blocking(self._report, False)
            passed.callback(os.close, null := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
            self._process: subprocess.Popen[bytes] = spawn(
                ["bash", "--noprofile", "--norc"],
                cwd=cwd,
                env={**env, processes.MARKER: marker, "PWD": str(cwd)},  # PWD: a path through links stays one
                stdin=script,
                stdout=null,
                stderr=null,
                pass_fds=[report],
                user=user,
                confine=confine,
            )
            self.pid = self._process.pid
            self._pidfd = os.pidfd_open(self.pid)
            own.pop_all()
        self._report_fd = report
        self._state = state
        state.take_over()
        self._saving: asyncio.TimerHandle | None = None
        self._is_saved = self.was_saved = True  # was_saved: before the last command
        self._is_traced = False  # `set -x`
        self._pending = bytearray(prologue(state, cwd).encode("utf-8", "surrogateescape"))
        self._received = b""
        self._exported: dict[str, str] = {}

    @property
    def cwd(self) -> str:
        """The working directory, even if it has been deleted; "" when the shell has ended."""
        try:
            here = str(Path(f"/proc/{self.pid}/cwd").readlink())
        except OSError:
            return ""
        return here.removesuffix(_DELETED) if self.lost else here

    @property
    def lost(self) -> bool:
        """Whether the working directory has been deleted."""
        link = Path(f"/proc/{self.pid}/cwd")
        try:
            return str(here := link.readlink()).endswith(_DELETED) and not here.exists()
        except OSError:
            return False

    @property
    def ended(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def give(
        self, number: int, command: str, *, output: Path, cwd: Path | None = None, marker: str, last: int = 0
    ) -> None:
        """Start a command.

        Args:
            number: of the command, for `status`.
            command: the text.
            output: FIFO that it prints into.
            cwd: directory to change to first.
            marker: value of processes.MARKER for what it starts.
            last: exit status of the previous command, its `$?`.
        """
        self._cancel_saving()
        self.was_saved, self._is_saved = self._is_saved, False
        script = command_script(
            number,
            command,
            output=output,
            cwd=cwd,
            marker=marker,
            last=last,
            jobs=self._state.jobs,
            report=self._report_fd,
            is_traced=self._is_traced,
        )
        self._pending += script.encode("utf-8", "surrogateescape")

    def export(self, variables: Mapping[str, str]) -> None:
        """Set variables of the environment, each value once: a command may change it again."""
        new = {name: value for name, value in variables.items() if self._exported.get(name) != value}
        if new:
            self._exported |= new
            self._pending += exports(new).encode("utf-8", "surrogateescape")

    def save_soon(self) -> None:
        """Save the shell's state when it has been idle for a moment: saving takes longer than a short command."""
        if self._script >= 0:  # it may have been closed while the call was under way
            self._saving = asyncio.get_running_loop().call_later(_IDLE, self._save)

    def _save(self) -> None:
        if processes.memory(self.pid) > LONG_SAVE:
            return
        script = save(self._state.before).encode("utf-8", "surrogateescape") + b"\n"
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            self._is_saved = os.write(self._script, script) == len(script)

    def _cancel_saving(self) -> None:
        if self._saving:
            self._saving.cancel()
            self._saving = None

    async def status(self, number: int) -> int | None:
        """Wait for the end of a command. Returns its exit status; None when the shell itself has ended."""
        while True:
            *lines, self._received = self._received.split(b"\n")
            for line in lines:
                reported, _, rest = line.partition(b" ")
                status, _, options = rest.partition(b" ")
                if reported == str(number).encode():
                    self._is_traced = b"x" in options
                    if b"r" in options:  # `set -r`: it could not run another command
                        self.send(signal.SIGKILL)
                        await self.wait(1.0)
                    return int(status)
            if self.ended is not None:
                return None
            await self._step()

    def send(self, signal_number: int) -> None:
        """Send a signal to the shell only."""
        if self.ended is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal_number)

    @property
    def idle(self) -> bool:
        """Whether the shell waits for its next command; False when that cannot be found out."""
        try:
            call = Path(f"/proc/{self.pid}/syscall").read_text().split()
        except OSError:
            return False
        return not self._pending and call[:2] == [str(_READ.get(os.uname().machine)), "0x0"]

    async def close(self, seconds: float) -> None:
        """Let the shell exit (its EXIT trap runs), and kill it when it has not ended in time."""
        self._cancel_saving()
        if self._script >= 0:
            os.close(self._script)
            self._script = -1
        if not await self.wait(seconds):
            self.send(signal.SIGKILL)
            await self.wait(5)
        for fd in (self._report, self._pidfd):
            if fd >= 0:
                os.close(fd)
        self._report = self._pidfd = -1

    async def wait(self, seconds: float) -> bool:
        """Wait at most this many seconds for the shell to end; returns whether it has."""
        with anyio.move_on_after(seconds):
            while self.ended is None:
                await ready(self._pidfd)
        return self.ended is not None

    async def _step(self) -> None:
        # one piece of the script out, or one piece of report in, or the end of the process
        if self._pending:
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                del self._pending[: os.write(self._script, self._pending[: 1 << 16])]
        await ready(self._report, self._pidfd, write=self._script if self._pending else None)
        with contextlib.suppress(BlockingIOError):
            self._received = (self._received + os.read(self._report, 4096))[-4096:]
