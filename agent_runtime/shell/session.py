"""One process that the model talks to: on a pseudo-terminal, or on pipes.

On a pseudo-terminal it has the terminal for its own: control characters act, a hang-up ends it. Without one
its output is a pipe, and only its stdin is the end of a terminal that controls nothing: it can be typed into,
programs that would read a piped stdin to its end do not wait for it, and nothing dies of a hang-up."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pwd
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from agent_runtime.protocol.text import split_ends
from agent_runtime.shell import screen
from agent_runtime.shell.call_processes import CallProcesses
from agent_runtime.shell.output_capture import RING, OutputCapture
from agent_runtime.shell.output_log import BoundedLog
from agent_runtime.shell.truncation import BYTES_PER_TOKEN, TruncatedOutput, join, where
from agent_runtime.system import processes
from agent_runtime.system.cgroup import ControlGroup
from agent_runtime.system.processes import Process
from agent_runtime.system.spawn import spawn
from agent_runtime.system.terminate import CANCEL_GRACE, ready, terminate

if TYPE_CHECKING:
    from agent_runtime.system.landlock import Confinement

ROWS, COLUMNS = 40, 120
_INTERRUPT = b"\x03"
_DRAWN = RING // 8  # bytes of output that are drawn on the screen at a look
_TYPING = 5.0  # seconds for a program to take what is typed
# A terminal becomes the controlling one when the leader of a session opens it; bash opens the one on its
# stdin. So the leader takes the one, and is another process than the one that has the other.
# Its own stdin is only there to hold it until it may begin.
_OWN_TERMINAL = 'read -r; exec bash -c "$1" <>"$0"'
# What the leader would say of a signal that ended the command, in its own words, is not the command's output.
_TYPED_INTO = r'read -r; exec {e}>&2 2>/dev/null; eval "bash -c \"\$1\" <&$0 $0<&- 2>&$e $e>&-"; exit'


@dataclass(frozen=True)
class SessionStart:
    """What a session is started with; see Sessions.open for the fields."""

    command: str
    cwd: Path
    env: Mapping[str, str]
    tty: bool
    user: str | None
    confine: Confinement | None = None
    rows: int = ROWS
    columns: int = COLUMNS


class Session:
    """A running program, its unread output, and its keyboard."""

    def __init__(
        self, start: SessionStart, *, call_id: str, marker: str, open_log: Callable[[], BoundedLog]
    ) -> None:
        self.start = start
        self.lock = anyio.Lock()  # for the call that types, waits and reads; others come after it
        self.used = time.monotonic()
        self.read = 0  # bytes of the output that the model has been given
        self.processes = CallProcesses(0, marker, marker, call_id)
        self.keyboard, terminal = _terminal(start)
        if start.tty:
            output, written = os.dup(self.keyboard), os.dup(terminal)
        else:
            output, written = os.pipe2(os.O_CLOEXEC)
        held, self._hold = os.pipe2(os.O_CLOEXEC)
        try:
            self._process = self._spawn(marker, held, terminal, written)
        except BaseException:
            for fd in (self.keyboard, output, self._hold):
                os.close(fd)
            raise
        finally:
            for fd in (held, terminal, written):
                os.close(fd)
        self.pid = self.processes.root = self._process.pid
        self._pidfd = os.pidfd_open(self.pid)
        self.capture = OutputCapture(output, open_log)

    @property
    def ended(self) -> int | None:
        """The exit code (128 + N for signal N); None while it runs."""
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    async def begin(self) -> None:
        """Let the program run, in a control group of its own where there are any."""
        self.processes.group = await to_thread.run_sync(ControlGroup.of, self.pid, self.processes.marker)
        self._go()

    async def wait(self, seconds: float) -> None:
        """Wait for its end, at most so long; then also for the rest of its output."""
        with anyio.move_on_after(seconds):
            while self.ended is None:
                await ready(self._pidfd)
        if self.ended is not None:
            await self.capture.settle(self.processes.living)

    async def type(self, data: bytes) -> None:
        """Type on its keyboard. Raises OSError when it has closed its terminal, or does not take it all."""
        typed = 0
        with anyio.move_on_after(_TYPING), memoryview(data) as view:
            while typed < len(data) and self.ended is None:
                try:
                    typed += os.write(self.keyboard, view[typed:])
                except BlockingIOError:  # nobody reads there, and the line discipline's buffer is full
                    if _is_hung_up(self.keyboard):  # then it seems ready for ever
                        raise OSError(errno.EIO, "it has closed its terminal") from None
                    await ready(self._pidfd, write=self.keyboard)
        if typed < len(data) and self.ended is None:
            raise OSError(errno.EAGAIN, f"{len(data) - typed} of {len(data)} bytes were not taken")
        if not self.start.tty and _INTERRUPT in data:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGINT)

    def unread(self, tokens: int) -> TruncatedOutput:
        """The output that the model has not been given yet, as text."""
        since, self.read = self.read, self.capture.total
        data = self.capture.read(max(since, self.read - RING // 2), self.read)
        if not (self.start.tty and screen.draws(data)):
            return self.capture.fit(tokens, since=since, until=self.read)
        drawn = data[-_DRAWN:]
        before = self.capture.read(max(0, self.read - _DRAWN), self.read - len(drawn))
        text = screen.render(drawn, rows=self.start.rows, columns=self.start.columns, before=before)
        if len(text.encode()) <= tokens * BYTES_PER_TOKEN:
            return TruncatedOutput(text, False, len(data), None)
        head, tail = split_ends(text, text, tokens * BYTES_PER_TOKEN)
        log = self.capture.spilled()
        return TruncatedOutput(
            join(head, tail, len(text.encode()), text.count("\n"), where(log)), True, len(data), log.path
        )

    def living(self) -> list[Process]:
        """All its processes that live, itself included."""
        own = Process.of(self.pid) if self.ended is None else None
        return [*([own] if own else []), *self.processes.living()]

    async def end(self) -> None:
        """End all its processes."""
        group = self.processes.group
        await terminate(self.living, grace=CANCEL_GRACE, kill=group.kill if group else None)

    async def close(self) -> None:
        """Let go of it. What still runs goes on, and its output is logged."""
        await self.capture.drain()
        if not self.capture.ended:
            self.processes.log_writer = self.capture.hand_over(hold=[self.keyboard])
        self.capture.close()
        self._go()
        os.close(self.keyboard)
        os.close(self._pidfd)
        if self.ended is None:
            self._process.returncode = 0  # it outlives the runtime: nobody waits for it

    def _go(self) -> None:
        if self._hold >= 0:
            os.close(self._hold)
            self._hold = -1

    def _spawn(self, marker: str, held: int, terminal: int, written: int) -> subprocess.Popen[bytes]:
        start = self.start
        env = {**start.env, processes.MARKER: marker}
        if start.tty:
            env.pop("VIMINIT", None)  # here somebody presses the keys
            env |= {"TERM": "xterm-256color", "LINES": str(start.rows), "COLUMNS": str(start.columns)}
            args = [_OWN_TERMINAL, os.ttyname(terminal)]
        else:
            args = [_TYPED_INTO, str(terminal)]
        return spawn(
            ["bash", "-c", *args, start.command],
            cwd=start.cwd,
            env=env,
            stdin=held,
            stdout=written,
            stderr=written,
            pass_fds=[] if start.tty else [terminal],
            user=start.user,
            confine=start.confine,
        )


def _is_hung_up(terminal: int) -> bool:
    poll = select.poll()
    poll.register(terminal, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))


def _terminal(start: SessionStart) -> tuple[int, int]:
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", start.rows, start.columns, 0, 0))
    if not start.tty:  # nobody reads the echo
        mode = termios.tcgetattr(slave)
        mode[3] &= ~(termios.ECHO | termios.ECHONL)
        termios.tcsetattr(slave, termios.TCSANOW, mode)
    if start.user:
        os.fchown(slave, pwd.getpwnam(start.user).pw_uid, -1)
    os.set_blocking(master, False)
    return master, slave
