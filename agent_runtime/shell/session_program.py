"""The program of a session: a bash that waits until it is given its command, its descriptors, and its control group.

It takes some milliseconds to get there, so it may be started before its command is known (see program_starter).
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import shlex
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent_runtime.errors import ToolError
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.system import processes
from agent_runtime.system.cgroup import ControlGroup
from agent_runtime.system.pipes import pipe
from agent_runtime.system.processes import Process
from agent_runtime.system.spawn import spawn

if TYPE_CHECKING:
    from agent_runtime.system.landlock import Confinement

LONGEST_COMMAND = 120_000  # bytes; one argument of execve may have 131,072
ROWS, COLUMNS = 40, 120
_MFD_NOEXEC_SEAL = 8  # linux/memfd.h
# These programs search their stdin in the place of files when it is a pipe.
_SEARCHES_STDIN = lazy_pattern(r"(?:^|[\s;|&(/'\"`])(?:rg|ag|ack|ugrep)(?=\s|$)")
# {0} is the descriptor of the script. A line on stdin says when it is complete.
_WAITING = r"\builtin read -r _ && \builtin . /proc/self/fd/{0}"
_ENTERING = r"{{ \builtin printf 0 >&{0}; }} 2>/dev/null; "  # a control group; {0} is its entrance
# On a terminal an interactive bash leads the session and runs the command as its foreground job. When the leader of a
# session ends, the kernel hangs up the foreground job of the terminal; by then that is the leader itself, so what the
# command left in the background lives on. A job that Ctrl-Z stops is continued at once: no shell is there to do it.
_LEADER = """trap : INT
exec {o}>&1 {e}>&2 >/dev/null 2>&1
bash -c "$1" >&$o 2>&$e {o}>&- {e}>&-; s=$?
while [[ $(jobs -sp) ]]; do fg; s=$?; done; exit $s"""


@dataclass(frozen=True)
class ProgramSettings:
    """What a program is started with.

    Attributes:
        cwd: its directory.
        env: its variables.
        tty: give it a pseudo-terminal of its own.
        user: whom it runs as; None for the user of this process.
        confine: where it may write.
        rows, columns: the size of its terminal.
    """

    cwd: Path
    env: Mapping[str, str]
    tty: bool
    user: str | None
    confine: Confinement | None = None
    rows: int = ROWS
    columns: int = COLUMNS


@dataclass(frozen=True)
class Ends:
    """The descriptors of a session.

    Attributes:
        keyboard: what is typed is written here; -1 when nothing can be typed.
        output: what the program prints is read here.
        stdin, written: the program's ends of these two.
        name: of the file that is its stdin, as /proc/PID/fd shows it.
    """

    keyboard: int
    output: int
    stdin: int
    written: int
    name: str


def checked_command(command: str) -> str:
    """Return the command. Raises ToolError for one that no command line can hold."""
    if "\0" in command:
        raise ToolError("cmd: expected text without NUL characters; remove them")
    if len(command.encode()) > LONGEST_COMMAND:
        raise ToolError(f"cmd: expected at most {LONGEST_COMMAND} bytes; write a script file and run that")
    return command


class SessionProgram:
    """A process that waits for its command. When the runtime ends before that, it ends too.

    Args:
        settings: what it is started with.
        marker: value of processes.MARKER in its environment.
        group: an empty control group, which it enters before it does anything else; None where there are none.

    Attributes:
        ends: its descriptors.
        process: the process. Whoever has the program waits for it.
        pidfd: can be read when it has ended.

    Raises OSError when it cannot be started.
    """

    def __init__(self, settings: ProgramSettings, marker: str, group: ControlGroup | None) -> None:
        self.settings, self.marker, self.group = settings, marker, group
        self._is_refused = False  # it ended before it could take the command
        with ExitStack() as own, ExitStack() as passed:
            self.ends = (_open_terminal if settings.tty else _open_pipes)(settings, own, passed)
            held, self._release = pipe(passed, own)
            self._script = _memory_file(own)
            self.process = self._start(held)
            self.pidfd = os.pidfd_open(self.process.pid)
            own.pop_all()
        self.pid = self.process.pid

    @property
    def ended(self) -> int | None:
        """The exit code (128 + N for signal N); None while it runs."""
        code = self.process.poll()
        return code if code is None or code >= 0 else 128 - code

    def suits(self, settings: ProgramSettings) -> bool:
        """Return whether it waits for a command, and has been started as these settings would start it now."""
        found = Process.of(self.pid) if self.ended is None else None
        if found is None or found.state in "Tt" or settings != self.settings:
            return False
        if self.group and self.group.is_frozen:
            return False
        with suppress(OSError):
            there, here = Path(f"/proc/{self.pid}/cwd").stat(), settings.cwd.stat()
            return os.path.samestat(there, here)  # a directory may be removed, and made again
        return False

    def give(self, command: str) -> None:
        """Give it its command."""
        if not self.settings.tty and _SEARCHES_STDIN.search(command):
            os.close(self.ends.keyboard)
            self.ends = replace(self.ends, keyboard=-1, name=os.devnull)
        os.write(self._script, self._script_of(command).encode())

    def go(self) -> None:
        """Let it execute the command. Does nothing when it has ended: see `began`."""
        try:
            os.write(self._release, b"\n")
        except BrokenPipeError:
            self._is_refused = True

    @property
    def began(self) -> bool:
        """Whether it has taken the command. One that was killed while it waited has not."""
        unread = int.from_bytes(fcntl.ioctl(self._release, termios.FIONREAD, bytes(4)), sys.byteorder)
        return not (unread or self._is_refused)

    def let_go(self) -> None:
        """Close what was needed to start it."""
        for fd in (self._release, self._script, self.pidfd):
            os.close(fd)

    def discard(self) -> None:
        """End it before it has begun. Blocking."""
        self.process.kill()
        self.process.wait()
        for fd in (self.ends.keyboard, self.ends.output):
            if fd >= 0:
                os.close(fd)
        self.let_go()

    def _start(self, held: int) -> subprocess.Popen[bytes]:
        settings, ends = self.settings, self.ends
        env = {**settings.env, processes.MARKER: self.marker}
        if settings.tty:
            env.pop("VIMINIT", None)  # it ends an editor that has no keyboard
            env |= {"TERM": "xterm-256color", "LINES": str(settings.rows), "COLUMNS": str(settings.columns)}
        entrance = [self.group.entrance()] if self.group else []
        self._inherited = [self._script, *entrance] if settings.tty else [self._script, *entrance, ends.stdin]
        waiting = "".join(map(_ENTERING.format, entrance)) + _WAITING.format(self._script)
        try:
            return spawn(
                ["bash", "-c", f": waits for a command; {waiting}"],
                cwd=settings.cwd,
                env=env,
                stdin=held,
                stdout=ends.written,
                stderr=ends.written,
                pass_fds=self._inherited,
                user=settings.user,
                confine=settings.confine,
            )
        finally:
            for fd in entrance:
                os.close(fd)

    def _script_of(self, command: str) -> str:
        """Return what the waiting bash executes: it becomes the program that runs the command."""
        ends, quoted = self.ends, shlex.quote(command)
        closed = " ".join(f"{fd}<&-" for fd in self._inherited)
        if self.settings.tty:
            leader = f"bash --noprofile --norc -ic {shlex.quote(_LEADER)} {ends.name} {quoted}"
            return f"\\builtin exec <>{ends.name} {leader} {closed}"
        stdin = f"&{ends.stdin}" if ends.keyboard >= 0 else os.devnull
        return f"\\builtin exec bash -c {quoted} <{stdin} {closed}"


def _open_terminal(settings: ProgramSettings, own: ExitStack, passed: ExitStack) -> Ends:
    """A pseudo-terminal that belongs to the user of the session. Raises OSError when there is none left."""
    master, slave = os.openpty()
    own.callback(os.close, master)
    passed.callback(os.close, slave)
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", settings.rows, settings.columns, 0, 0))
    if settings.user:
        os.fchown(slave, pwd.getpwnam(settings.user).pw_uid, -1)
    own.callback(os.close, output := os.dup(master))
    passed.callback(os.close, written := os.dup(slave))
    return Ends(master, output, slave, written, os.ttyname(slave))


def _open_pipes(settings: ProgramSettings, own: ExitStack, passed: ExitStack) -> Ends:
    output, written = pipe(own, passed)
    stdin, keyboard = pipe(passed, own)
    return Ends(keyboard, output, stdin, written, os.readlink(f"/proc/self/fd/{keyboard}"))  # noqa: PTH115


def _memory_file(own: ExitStack) -> int:
    """A file in memory. It is not executable, which a system may demand (sysctl vm.memfd_noexec). Raises OSError."""
    try:
        fd = os.memfd_create("command", os.MFD_CLOEXEC | _MFD_NOEXEC_SEAL)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        fd = os.memfd_create("command")  # before Linux 6.3
    own.callback(os.close, fd)
    return fd
