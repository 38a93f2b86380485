"""Keeps the log of processes that outlive their call, or the runtime.

Why a pipe with a helper process, and not a plain log file as the command's stdout: a file cannot be bounded while
somebody else writes it, `> /dev/stderr` in a script would truncate it, and a flood would outrun any trimming. A pipe
slows its writer down. While a call runs the runtime itself reads the pipe; the pipe of what outlives the call is
handed to this helper, which is in a session of its own. So a background server never gets a SIGPIPE, also not after
the end of the runtime, and its log stays bounded for as long as it lives.
"""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from agent_runtime.shell import output_log
from agent_runtime.shell.output_log import BoundedLog
from agent_runtime.system import processes
from agent_runtime.system.spawn import spawn

TITLE = "agent-log"  # the helper's name: `pkill python` and `pkill -f SCRIPT` do not find it
_RESTART = 0.1  # seconds


class LogWriter:
    """A helper process that writes what comes out of a pipe to a log file, until nobody can write to the pipe.

    While the runtime lives it holds the pipe too, and starts another helper when one is killed, or when the first one
    cannot be started because the limit of processes is reached.

    Args:
        source: the pipe's reading end, or a pseudo-terminal's master; owned from now on.
        log: the file, with what was written to it so far.
        hold: further descriptors that are kept open for as long; owned too.
    """

    def __init__(self, source: int, log: BoundedLog, *, hold: Sequence[int] = ()) -> None:
        self.path = log.path
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._source, self._hold = source, list(hold)
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._restart: asyncio.TimerHandle | None = None
        self._start()

    @property
    def pid(self) -> int:
        """The pid of the helper; 0 while there is none."""
        return self._process.pid if self._process else 0

    @property
    def over(self) -> bool:
        """Whether everything has been written and no more output can follow."""
        return self._source < 0

    def detach(self) -> None:
        """Detach the helper, which continues by itself."""
        if self._restart:
            self._restart.cancel()
        self._unwatch()
        for fd in (self._source, *self._hold):
            if fd >= 0:
                os.close(fd)
        self._source, self._hold = -1, []
        if self._process and self._process.poll() is None:
            self._process.returncode = 0  # it is not waited for

    def _start(self) -> None:
        try:
            self._process = self._spawn()
        except OSError:  # no process can be started now
            self._restart = self._loop.call_later(_RESTART * 10, self._start)
            return
        self._pidfd = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._pidfd, self._ended)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with (
            Path(os.devnull).open("r+b", buffering=0) as null,
            Path(output_log.__file__).open("rb") as script,
        ):
            # the paths are not in the command line, where `pkill -f` would find them
            return spawn(
                [TITLE, "-s", "-S", "-P", f"/dev/fd/{script.fileno()}"],
                executable=sys.executable,
                cwd="/",
                env={
                    processes.MARKER: f"{os.getpid()}.log_writer",
                    "PATH": os.defpath,
                    "PYTHONHOME": f"{sys.base_prefix}:{sys.base_exec_prefix}",  # not to be found by its name
                    **output_log.settings(self._log),
                },
                stdin=self._source,
                stdout=null.fileno(),
                stderr=null.fileno(),
                pass_fds=[*self._hold, script.fileno()],
            )

    def _unwatch(self) -> None:
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _ended(self) -> None:
        self._unwatch()
        if self._process:
            self._process.poll()  # reaps it
        if is_at_end(self._source):
            self.detach()
        else:
            self._restart = self._loop.call_later(_RESTART, self._replace)

    def _replace(self) -> None:
        self._log = BoundedLog.resumed(self.path, self._log.limit)
        self._start()


def is_at_end(fd: int) -> bool:
    """Whether nobody can write to the pipe, or the terminal, and nothing is left to read."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return [event for _, event in poll.poll(0)] == [select.POLLHUP]
