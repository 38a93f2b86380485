"""One bash process that takes commands one after the other, and how it is told to.

BashProcess reads its script from a pipe (its stdin) and gets each command as one line,

    { \\builtin eval 'COMMAND'; } </dev/null >FIFO 2>&1      and then      \\builtin printf 'N STATUS'
    >&REPORT

so the command is parsed as a unit (an open quote is an error, never a wait), has its own output pipe whatever
it does to the shell's descriptors, and its end is told over a descriptor that its children do not have.
When the shell has a moment, is about to end (exit, set -e) or is told to stop (SIGRTMAX, at a timeout), it
writes its state down for the next one (see state.py)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from agent_runtime.shell.shell_state import ShellState, restore, save
from agent_runtime.system import processes
from agent_runtime.system.spawn import spawn
from agent_runtime.system.terminate import ready

if TYPE_CHECKING:
    from agent_runtime.system.landlock import Confinement

STOP = signal.SIGRTMAX
_DELETED = " (deleted)"  # what proc(5) says of it; a directory may also be called that
_IDLE = 0.01  # seconds
_READ = {"x86_64": 0, "aarch64": 63}  # the number of read(2)


class BashProcess:
    """A running bash.

    Args:
        cwd: where it starts.
        env: its variables.
        mark: the value of processes.MARK that it and its subshells show.
        state: where it finds the state of its predecessor, and leaves its own.
        user: whom it runs as.
        confine: where it may write.
    """

    def __init__(
        self,
        *,
        cwd: Path,
        env: Mapping[str, str],
        mark: str,
        state: ShellState,
        user: str | None,
        confine: Confinement | None,
    ) -> None:
        self.mark = mark
        script, self._script = os.pipe2(os.O_CLOEXEC)
        self._report, report = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._script, False)
        os.set_blocking(self._report, False)
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._process: subprocess.Popen[bytes] = spawn(
                ["bash", "--noprofile", "--norc"],
                cwd=cwd,
                env={**env, processes.MARK: mark, "PWD": str(cwd)},  # PWD: a path through links stays one
                stdin=script,
                stdout=null,
                stderr=null,
                pass_fds=[report],
                user=user,
                confine=confine,
            )
        finally:
            for fd in (script, report, null):
                os.close(fd)
        self.pid = self._process.pid
        self._pidfd = os.pidfd_open(self.pid)
        self._report_fd = report
        self._state = state
        state.take_over()
        self._saving: asyncio.TimerHandle | None = None
        self._is_saved = self.was_saved = True  # was_saved: before the last command
        self._pending = bytearray(_prologue(state, cwd).encode("utf-8", "surrogateescape"))
        self._received = b""

    @property
    def cwd(self) -> str:
        """The directory that it is in, or was in when that is gone; "" when the shell is."""
        try:
            here = str(Path(f"/proc/{self.pid}/cwd").readlink())
        except OSError:
            return ""
        return here.removesuffix(_DELETED) if self.lost else here

    @property
    def lost(self) -> bool:
        """Has its directory been deleted?"""
        link = Path(f"/proc/{self.pid}/cwd")
        try:
            return str(here := link.readlink()).endswith(_DELETED) and not here.exists()
        except OSError:
            return False

    @property
    def ended(self) -> int | None:
        """The exit status, negative for a signal; None while it lives."""
        return self._process.poll()

    def give(
        self, number: int, command: str, *, output: Path, cwd: Path | None = None, mark: str, last: int = 0
    ) -> None:
        """Hand it a command. `cwd`: go there first. `last`: what `$?` is to it."""
        self._give_up_saving()
        self.was_saved, self._is_saved = self._is_saved, False
        lines = [f"{processes.MARK}={shlex.quote(mark)}"]
        if cwd is not None:
            lines.append(f"\\builtin cd -- {shlex.quote(str(cwd))}")
        status = f"(\\builtin exit {last}) || " if last else ""  # not `;`: `set -e` would end it here
        lines += [
            f"{{ {status}\\builtin eval {shlex.quote(command)}\n}} </dev/null >|{shlex.quote(str(output))}"
            f" 2>&1 {self._report_fd}>&-",
            f'\\builtin printf \'{number} %s %s\\n\' "$?" "${{-//[!r]/}}" >&{self._report_fd}',
        ]
        self._pending += ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")

    def save_soon(self) -> None:
        """Let it write its state down if it has nothing to do for a moment, which costs more than `true` does."""
        self._saving = asyncio.get_running_loop().call_later(_IDLE, self._save)

    def _save(self) -> None:
        script = save(self._state.before).encode("utf-8", "surrogateescape") + b"\n"
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            self._is_saved = os.write(self._script, script) == len(script)

    def _give_up_saving(self) -> None:
        if self._saving:
            self._saving.cancel()
            self._saving = None

    async def status(self, number: int) -> int | None:
        """Wait for the end of that command: its exit status, or None when the shell itself has ended."""
        while True:
            for line in self._received.split(b"\n")[:-1]:
                told, _, rest = line.partition(b" ")
                status, _, restricted = rest.partition(b" ")
                if told == str(number).encode():
                    if restricted:  # `set -r`: it could not run another command
                        self.send(signal.SIGKILL)
                        await self.wait(1.0)
                    return int(status)
            if self.ended is not None:
                return None
            await self._step()

    def send(self, signal_number: int) -> None:
        """Signal the shell alone."""
        if self.ended is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal_number)

    @property
    def idle(self) -> bool:
        """Is it waiting for its next command? False where the kernel does not tell."""
        try:
            call = Path(f"/proc/{self.pid}/syscall").read_text().split()
        except OSError:
            return False
        return not self._pending and call[:2] == [str(_READ.get(os.uname().machine)), "0x0"]

    async def close(self, seconds: float) -> None:
        """Let it end by itself (its EXIT trap runs), kill it when it does not."""
        self._give_up_saving()
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
        """Wait for the shell to end; has it?"""
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


def _prologue(state: ShellState, cwd: Path) -> str:
    at_end = save(state.end)
    stop = f"{at_end}; \\builtin exit 143"
    return (
        "\\builtin shopt -s expand_aliases\n"
        f"{restore(state.before, cwd)}\n"
        "\\builtin set +e\n"
        f"\\builtin trap {shlex.quote(stop)} {STOP.name.removeprefix('SIG')}\n"
        f"\\builtin trap {shlex.quote(at_end)} EXIT\n"
        f"\\builtin export {processes.MARK}\n"
    )
