"""`agent-runtime standby`: warm start. All modules are imported once, and each run is a fork of this process.

A client connects, writes the request, and reads events until the end of the stream; further lines that it writes are
control messages. The connection is stdin and stdout of the run's process: closing it closes the run's stdout. The
parent has no event loop and no threads, so that forking is safe, and it never reads from a connection. The preamble of
`run --socket` is described in client.py.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import os
import select
import signal
import socket
import stat
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from agent_runtime.cli.hide_keys import hide_keys
from agent_runtime.cli.run import answer
from agent_runtime.cli.standby.client import EXIT, PID, PREAMBLE
from agent_runtime.cli.standby.warmup import warm_up
from agent_runtime.engine.signals import SignalHandler
from agent_runtime.engine.stdin import read_request
from agent_runtime.errors import ExitCode, RequestError
from agent_runtime.output.event_writer import claim_stdout
from agent_runtime.system.process_title import set_title

_BACKLOG = 64
_GRACE = 5.0  # seconds that runs have to end when the standby is stopped; a cancelled run takes at most 3
_HELD = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD))


def standby_command(arguments: argparse.Namespace) -> int:
    """Warm up, listen, and serve until a signal ends it."""
    path: str = arguments.socket
    try:
        _refuse_when_live(path)
        warm_up()
        hide_keys()
        set_title("agent-runtime standby")
        with listening(path) as listener:
            print(f"agent-runtime: standing by at {path}", file=sys.stderr, flush=True)
            return Standby(listener).serve()
    except RequestError as error:
        print(f"agent-runtime: {error}", file=sys.stderr)
        return ExitCode.INVALID_REQUEST
    except OSError as error:
        print(f"agent-runtime: standby cannot listen at {path}: {error.strerror or error}", file=sys.stderr)
        return ExitCode.FAILED


@contextmanager
def listening(path: str) -> Iterator[socket.socket]:
    """Listen on a socket at `path` that only this user can use. A socket without a listener is replaced.

    Raises:
        OSError: the path cannot be used; EADDRINUSE when another standby listens there.
    """
    with socket.socket(socket.AF_UNIX) as listener:
        folder = os.open(Path(path).absolute().parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # of two that start at the same time, only one can bind
            _refuse_when_live(path)
            Path(path).unlink(missing_ok=True)
            mask = os.umask(0o177)
            try:
                listener.bind(path)
            finally:
                os.umask(mask)
            listener.listen(_BACKLOG)
        finally:
            os.close(folder)
        made = Path(path).stat().st_ino
        try:
            yield listener
        finally:
            with suppress(FileNotFoundError):
                if Path(path).stat().st_ino == made:
                    Path(path).unlink()


def _refuse_when_live(path: str) -> None:
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "the file exists and is not a socket")
    with socket.socket(socket.AF_UNIX) as probe, suppress(ConnectionRefusedError):
        probe.connect(path)
        raise OSError(errno.EADDRINUSE, "another standby listens there")


class Standby:
    """Accepts connections, and forks a process for each."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._runs: set[int] = set()
        self._stopping = False
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> int:
        """Serve until SIGTERM or SIGINT, then end all runs. Returns the exit status."""
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in _HELD:
            signal.signal(number, self._caught)
        while not self._stopping:
            ready, _, _ = select.select([self._listener.fileno(), self._woken], [], [])
            self._reap()
            if self._listener.fileno() in ready and not self._stopping:
                connection, _ = self._listener.accept()
                with connection:
                    self._fork(connection)
        self._end_runs()
        return ExitCode.COMPLETED

    def _caught(self, number: int, frame: FrameType | None) -> None:
        self._stopping |= number != signal.SIGCHLD

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._woken, 4096)
        with suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                self._runs.discard(pid)

    def _fork(self, connection: socket.socket) -> None:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)  # until the child has its own handlers
        try:
            pid = os.fork()
        except OSError as error:
            print(f"agent-runtime: a run cannot be started: {error.strerror}", file=sys.stderr)
            pid = -1
        if pid == 0:
            code: int = ExitCode.FAILED
            try:
                self._detach()
                code = Attempt(connection, mask).run()
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)  # none of the parent's exit handlers
        self._runs |= {pid} - {-1}
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _detach(self) -> None:
        """Release the resources of the parent in a child."""
        os.setsid()  # Ctrl-C at a terminal then signals only the parent, which ends the runs
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._listener.close()
        os.close(self._woken)
        os.close(self._wake)

    def _end_runs(self) -> None:
        self._listener.close()
        deadline = time.monotonic() + _GRACE
        for number, until in ((signal.SIGTERM, deadline), (signal.SIGKILL, deadline + 1)):
            for pid in self._runs:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            while self._runs and (left := until - time.monotonic()) > 0:
                select.select([self._woken], [], [], left)
                self._reap()


class Attempt:
    """One run in a child process, with the connection as its stdin and stdout.

    Args:
        connection: the connection to the client.
        mask: the signal mask from before the fork.
    """

    def __init__(self, connection: socket.socket, mask: set[signal.Signals | int]) -> None:
        self._connection, self._mask = connection, mask
        self._options: dict[str, Any] = {}
        self._announced = False

    def run(self) -> int:
        """Execute the run; returns the exit status."""
        os.dup2(self._connection.fileno(), 0)
        os.dup2(self._connection.fileno(), 1)
        signals = SignalHandler()
        out = claim_stdout()
        code = answer(self._read, self._options, out=out, signals=signals)
        if self._announced:
            self._say(EXIT, code)
        self._hang_up()
        return code

    def _read(self) -> tuple[Any, bytes]:
        """Read the request. With a preamble, take over the environment of its sender first."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)  # a pending signal is raised here
        data, descriptors, _, _ = socket.recv_fds(self._connection, 1 << 16, 1)
        raw, rest = read_request(0, data)
        if not (isinstance(raw, dict) and raw.keys() == {PREAMBLE}):
            return raw, rest
        for descriptor in descriptors:
            os.dup2(descriptor, 2)
            os.close(descriptor)
        self._announced = True
        self._say(PID, os.getpid())
        self._become(raw[PREAMBLE])
        return read_request(0, rest)

    def _become(self, sender: Any) -> None:
        try:
            os.chdir(sender["cwd"])
            os.environ.clear()
            os.environ.update(sender["env"])
            self._options.update(sender["options"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise RequestError(PREAMBLE, f"expected cwd, env and options of the sender: {error!r}") from None

    def _say(self, what: bytes, number: int) -> None:
        with suppress(OSError):
            self._connection.sendall(what + str(int(number)).encode() + b"}\n")

    def _hang_up(self) -> None:
        """Close the stream even if other processes have the socket. Unread input would reset the connection."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
            while self._connection.recv(1 << 16, socket.MSG_DONTWAIT):
                pass
