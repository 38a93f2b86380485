"""Starting programs that inherit nothing of the runtime's own."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import pwd
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agent_runtime.system.kernel_files import read, write
from agent_runtime.system.processes import Process
from agent_runtime.system.threads import ThreadLimitReached, call_in_new_thread

if TYPE_CHECKING:
    from agent_runtime.system.landlock import Confinement

# those that Popen does not restore; as numbers, and read by `_signal`: enumerations take 1 ms for each program started
_SIGNALS = tuple(map(int, signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}))
_LOOKS, _LOOK_SECONDS = 100, 0.0005  # for the kernel to execute a new program
_OOM_ADJUSTMENT, _MAX_OOM_ADJUSTMENT = 500, 1000  # thousandths of the memory, see proc(5)


def spawn(
    args: Sequence[str],
    *,
    cwd: str | Path,
    env: Mapping[str, str],
    stdin: int,
    stdout: int,
    stderr: int,
    executable: str | None = None,
    pass_fds: Sequence[int] = (),
    user: str | None = None,
    confine: Confinement | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, without a controlling terminal.

    It inherits no descriptor but those given, and no blocked or ignored signal. When memory is short, the kernel kills
    it, or what it has started, before this process.

    Args:
        args: its command line.
        cwd: its working directory.
        env: its variables.
        stdin: descriptor; likewise `stdout` and `stderr`.
        executable: the program, when it is not `args[0]`.
        pass_fds: further descriptors that it inherits, with the same numbers.
        user: whom it runs as, with all groups of that user; None for the user of this process.
        confine: where it, and all that it starts, may write; None for everywhere.

    Raises:
        OSError: the program cannot be started.
        KeyError: there is no such user.
    """
    unignore_signals()
    entry = pwd.getpwnam(user) if user else None

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            args,
            executable=executable or (None if entry else _found(args[0], env)),
            cwd=cwd,
            env=dict(env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            start_new_session=True,
            user=entry.pw_uid if entry else None,
            group=entry.pw_gid if entry else None,
            extra_groups=os.getgrouplist(entry.pw_name, entry.pw_gid) if entry else None,
        )

    started = _in_thread(lambda: confine(start) if confine else start())
    _wait_for_exec(started.pid)
    _prefer_as_oom_victim(started.pid)
    return started


def _prefer_as_oom_victim(pid: int) -> None:
    """Let the kernel kill this process first when memory is short.

    By itself it would choose the run: the pages that a run shares with its standby count as its own. Until the new
    program is executed, the file belongs to root where this process is hardened.
    """
    with suppress(OSError, ValueError):  # no /proc, the process has ended, or it is another user's
        own = int(read("/proc/self/oom_score_adj"))
        write(f"/proc/{pid}/oom_score_adj", min(own + _OOM_ADJUSTMENT, _MAX_OOM_ADJUSTMENT))


def _found(program: str, env: Mapping[str, str]) -> str | None:
    """Return the path of a program. Each folder in which a child looks for it costs the kernel a failed execve.

    None where the child has to look for it itself.
    """
    if "/" in program:
        return None
    for folder in env.get("PATH", "").split(":"):
        path = f"{folder}/{program}"
        if not folder.startswith("/"):
            return None  # relative to the working directory of the child
        if os.access(path, os.X_OK) and not os.path.isdir(path):  # noqa: PTH112 -- for each program started
            return path
    return None


def _wait_for_exec(pid: int) -> None:
    """Wait until the command line and the environment of a new process can be read, by which others recognize it."""
    for _ in range(_LOOKS):
        process = Process.of(pid)
        if process is None or process.gone or process.argv:
            return
        time.sleep(_LOOK_SECONDS)


def _in_thread(start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """Start the program in a thread that blocks no signals, so that it does not block any either."""
    try:
        return call_in_new_thread(lambda: _unblocked(start))
    except ThreadLimitReached:
        return _unblocked(start)


def _unblocked(start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    blocked = signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        return start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def identity(user: str | None) -> dict[str, str]:
    """HOME, USER, LOGNAME and SHELL of a user, as login sets them.

    Args:
        user: None for the user of this process, who need not have an entry in the user database.

    Raises KeyError when there is no user of that name.
    """
    try:
        entry = pwd.getpwnam(user) if user else pwd.getpwuid(os.geteuid())
    except KeyError:
        if user:
            raise
        return {"HOME": "/", "SHELL": "/bin/sh"}
    shell = entry.pw_shell or "/bin/sh"
    return {"HOME": entry.pw_dir or "/", "USER": entry.pw_name, "LOGNAME": entry.pw_name, "SHELL": shell}


def unignore_signals() -> None:
    """Replace SIG_IGN, which children inherit (it may come from nohup), by a handler that does nothing."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in _SIGNALS:
        if _signal.getsignal(number) == _signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
