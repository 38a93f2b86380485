"""`agent-runtime standby`: warm start. All modules are imported once, and each run is a fork of this process.

A client connects, writes the request, and reads events until the end of the stream; further lines that it writes are
control messages. The connection is stdin and stdout of the run's process: closing it closes the run's stdout. The
parent has no event loop and no threads, so that forking is safe, and it never reads from a connection. The preamble of
`run --socket` is described in protocol/handover.py.

`serve` starts a standby of its own, and hands it the connections. Its runs go on when either of the two ends.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from types import FrameType

from agent_runtime.cli.hide_keys import hide_keys
from agent_runtime.cli.standby.attempt import Attempt
from agent_runtime.cli.standby.listener import (
    Listener,
    ParentListener,
    PathListener,
    listening,
    refuse_when_live,
)
from agent_runtime.cli.standby.warmup import warm_up
from agent_runtime.errors import ExitCode, RequestError
from agent_runtime.system.process_title import set_title

_GRACE = 5.0  # seconds that runs have to end when the standby is stopped; a cancelled run takes at most 3
_HELD = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD))


def standby_command(arguments: argparse.Namespace) -> int:
    """Warm up, listen, and serve until a signal ends it."""
    if arguments.handed is not None:
        _prepare()
        return Standby(ParentListener(arguments.handed), ends_runs=False).serve()
    path: str = arguments.socket
    try:
        refuse_when_live(path)
        _prepare()
        with listening(path) as listener:
            print(f"agent-runtime: standing by at {path}", file=sys.stderr, flush=True)
            return Standby(PathListener(listener), ends_runs=True).serve()
    except RequestError as error:
        print(f"agent-runtime: {error}", file=sys.stderr)
        return ExitCode.INVALID_REQUEST
    except OSError as error:
        print(f"agent-runtime: standby cannot listen at {path}: {error.strerror or error}", file=sys.stderr)
        return ExitCode.FAILED


def _prepare() -> None:
    warm_up()
    hide_keys()
    set_title("agent-runtime standby")


class Standby:
    """Accepts connections, and forks a process for each.

    Args:
        listener: where the connections come from.
        ends_runs: end the runs when this process is stopped.
    """

    def __init__(self, listener: Listener, *, ends_runs: bool) -> None:
        self._listener, self._ends_runs = listener, ends_runs
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
                self._accept()
        self._listener.close()
        if self._ends_runs:
            self._end_runs()
        return ExitCode.COMPLETED

    def _accept(self) -> None:
        try:
            connection = self._listener.accept()
        except EOFError:
            self._stopping = True
            return
        with connection:
            self._fork(connection)

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
        deadline = time.monotonic() + _GRACE
        for number, until in ((signal.SIGTERM, deadline), (signal.SIGKILL, deadline + 1)):
            for pid in self._runs:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            while self._runs and (left := until - time.monotonic()) > 0:
                select.select([self._woken], [], [], left)
                self._reap()
