"""Starts the program of a session: its descriptors, and the shell that runs the command."""

from __future__ import annotations

import fcntl
import os
import pwd
import struct
import subprocess
import termios
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agent_runtime.errors import ToolError
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.system import processes
from agent_runtime.system.spawn import spawn

if TYPE_CHECKING:
    from agent_runtime.system.landlock import Confinement

LONGEST_COMMAND = 120_000  # bytes; one argument of execve may have 131,072
ROWS, COLUMNS = 40, 120
# These programs search their stdin in the place of files when it is a pipe.
_SEARCHES_STDIN = lazy_pattern(r"(?:^|[\s;|&(/'\"`])(?:rg|ag|ack|ugrep)(?=\s|$)")
# $0 is the terminal or the descriptor of the pipe, $1 the command. The first line of stdin says when it may begin.
_ON_PIPES = r'read -r; eval "exec bash -c \"\$1\" <&$0 $0<&-"'
# On a terminal an interactive bash leads the session and runs the command as its foreground job. When the leader of a
# session ends, the kernel hangs up the foreground job of the terminal; by then that is the leader itself, so what the
# command left in the background lives on. A job that Ctrl-Z stops is continued at once: no shell is there to do it.
_ON_TERMINAL = r"""read -r; exec <>"$0" bash --noprofile --norc -ic 'trap : INT
exec {o}>&1 {e}>&2 >/dev/null 2>&1
bash -c "$1" >&$o 2>&$e {o}>&- {e}>&-; s=$?
while [[ $(jobs -sp) ]]; do fg; s=$?; done; exit $s' "$0" "$1" """


@dataclass(frozen=True)
class SessionStart:
    """What a session is started with; see SessionManager.open and ShellSettings for the fields."""

    command: str
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


def open_terminal(start: SessionStart) -> Ends:
    """A pseudo-terminal that belongs to the user of the session. Raises OSError when there is none left."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", start.rows, start.columns, 0, 0))
    if start.user:
        os.fchown(slave, pwd.getpwnam(start.user).pw_uid, -1)
    return Ends(master, os.dup(master), slave, os.dup(slave), os.ttyname(slave))


def open_pipes(start: SessionStart) -> Ends:
    """Pipes; in the place of the one for stdin the null device, for programs that would search their stdin."""
    output, written = os.pipe2(os.O_CLOEXEC)
    if _SEARCHES_STDIN.search(start.command):
        return Ends(-1, output, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), written, os.devnull)
    stdin, keyboard = os.pipe2(os.O_CLOEXEC)
    return Ends(keyboard, output, stdin, written, str(Path(f"/proc/self/fd/{keyboard}").readlink()))


def launch(start: SessionStart, ends: Ends, *, held: int, marker: str) -> subprocess.Popen[bytes]:
    """Start the program. It begins when a line comes through `held`, or its end. Raises OSError.

    `marker`: value of processes.MARKER in its environment.
    """
    env = {**start.env, processes.MARKER: marker}
    if start.tty:
        env.pop("VIMINIT", None)  # it ends an editor that has no keyboard
        env |= {"TERM": "xterm-256color", "LINES": str(start.rows), "COLUMNS": str(start.columns)}
    script, stdin = (_ON_TERMINAL, ends.name) if start.tty else (_ON_PIPES, str(ends.stdin))
    return spawn(
        ["bash", "-c", script, stdin, start.command],
        cwd=start.cwd,
        env=env,
        stdin=held,
        stdout=ends.written,
        stderr=ends.written,
        pass_fds=[] if start.tty else [ends.stdin],
        user=start.user,
        confine=start.confine,
    )
