"""`agent-runtime standby`: warm start. All modules are imported once, and each run is a fork of this process.

A client connects, writes the request, and reads events until the end of the stream; further lines that it writes are
control messages. The connection is stdin and stdout of the run's process: closing it closes the run's stdout. The
parent has no event loop and no threads, so that forking is safe, and it never reads from a connection. The preamble of
`run --socket` is described in protocol/handover.py.

`serve` starts a standby of its own, and passes it the connections. Its runs go on when either of the two ends.
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

from agent_runtime.cli.hide_keys import hide_keys
from agent_runtime.cli.standby.attempt import Attempt
from agent_runtime.cli.standby.freezing import RunChannels
from agent_runtime.cli.standby.listener import (
    Listener,
    ParentListener,
    PathListener,
    listening,
    refuse_when_live,
)
from agent_runtime.cli.standby.warmup import warm_up
from agent_runtime.engine.signals import FREEZING
from agent_runtime.errors import ExitCode, RequestError
from agent_runtime.protocol.handover import check_socket_path
from agent_runtime.system.process_title import set_title
from agent_runtime.system.processes import Process
from agent_runtime.system.signal_descriptor import SignalDescriptor
from agent_runtime.system.signals import (
    CATCHABLE,
    STOPPING,
    be_prompt,
    may_come_from_below,
    name_of,
    of_another_run,
)

_REMEMBERED = 100  # runs that were killed
_GRACE = 5.0  # seconds that runs have to end when the standby is stopped; a cancelled run takes at most 3


def standby_command(arguments: argparse.Namespace) -> int:
    """Warm up, listen, and serve until a signal ends it."""
    if arguments.handed is not None:
        _prepare()
        return Standby(ParentListener(arguments.handed), ends_runs=False).serve()
    path: str = arguments.socket
    try:
        check_socket_path(path)
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
        self._killed: dict[int, int] = {}  # signals, by the pids of the last runs that were killed
        self._channels = RunChannels()
        self._stopping = False
        self._marker = Process.own().marker
        ignored = {number for number in CATCHABLE if signal.getsignal(number) == signal.SIG_IGN}
        self._signals = SignalDescriptor({*CATCHABLE, signal.SIGCHLD} - ignored)

    def serve(self) -> int:
        """Serve until a signal of the caller, then end all runs. Returns the exit status."""
        be_prompt()
        while not self._stopping:
            watched = [self._listener.fileno(), self._signals.fileno(), *self._channels.filenos()]
            ready, _, _ = select.select(watched, [], [], self._channels.timeout)
            self._channels.receive(ready)
            self._receive_signals()
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

    def _receive_signals(self) -> None:
        for number, sender in self._signals.received():
            if number == signal.SIGCHLD:
                self._reap()
            elif self._is_of_tools(sender):
                print(f"agent-runtime: ignored {name_of(number)} from a tool (pid {sender})", file=sys.stderr)
            elif action := FREEZING.get(number):
                self._channels.signal(action)
            elif number in STOPPING:
                os.kill(os.getpid(), signal.SIGSTOP)
            else:
                self._stopping = True

    def _is_of_tools(self, sender: int) -> bool:
        """Return whether a tool has sent a signal: of an active run, or of one that left the tool running."""
        if any(may_come_from_below(sender, run) for run in self._runs):
            return True
        process = Process.of(sender)
        return process is not None and of_another_run(process, self._marker)

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
                pid, status = ended
                self._runs.discard(pid)
                self._channels.remove(pid)
                self._killed.pop(pid, None)  # of an earlier process
                if os.WIFSIGNALED(status):
                    self._killed[pid] = os.WTERMSIG(status)
                    self._killed = dict([*self._killed.items()][-_REMEMBERED:])

    def _fork(self, connection: socket.socket) -> None:
        own, childs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError as error:
            own.close()
            childs.close()
            print(f"agent-runtime: a run cannot be started: {error.strerror}", file=sys.stderr)
            return
        if pid == 0:
            code: int = ExitCode.FAILED
            try:
                own.close()
                self._detach()
                code = Attempt(connection, self._signals.previous_mask, childs, self._killed).run()
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)  # without the exit handlers of the parent
        childs.close()
        self._runs.add(pid)
        self._channels.add(pid, own)

    def _detach(self) -> None:
        """Release the resources of the parent in a child."""
        os.setsid()  # Ctrl-C at a terminal then signals only the parent, which ends the runs
        self._listener.close()
        self._signals.close()
        self._channels.close()

    def _end_runs(self) -> None:
        deadline = time.monotonic() + _GRACE
        for number, until in ((signal.SIGTERM, deadline), (signal.SIGKILL, deadline + 1)):
            for pid in self._runs:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            while self._runs and (left := until - time.monotonic()) > 0:
                select.select([self._signals.fileno()], [], [], left)
                list(self._signals.received())
                self._reap()
