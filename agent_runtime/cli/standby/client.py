"""`agent-runtime run --socket PATH`: lets a standby server execute a run, and behaves like that run.

It passes its working directory, environment, options and stderr (protocol/handover.py). Signals are forwarded to the
process of the run, and its exit status becomes that of this process. This module imports nothing that is slow to
import.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent_runtime.cli.options import read_file
from agent_runtime.engine import failure
from agent_runtime.engine.signals import Interrupted, SignalHandler
from agent_runtime.errors import ExitCode, RequestError
from agent_runtime.output.masking import address_secrets, named_as_secret
from agent_runtime.protocol.handover import EXIT, KILLED, PID, PREAMBLE, check_socket_path, preamble
from agent_runtime.system.hardening import harden
from agent_runtime.system.signal_descriptor import SignalDescriptor
from agent_runtime.system.signals import STOPPING, be_prompt, may_come_from_below, name_of

_PIECE = 1 << 16
_STDOUT = 1
_ANSWER_SECONDS = 3.0  # that a standby may take to say how a run has ended


def hand_over(arguments: Namespace, options: dict[str, Any]) -> int:
    """Run the command; returns the exit status of the run."""
    signals = SignalHandler()
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            signals.arm()
            check_socket_path(arguments.socket)
            request = _request(arguments)
            first_line = _preamble(options)
            secret = {name for name in os.environ if named_as_secret(name)}
            harden(secret | address_secrets(os.environ).keys())
            connection.connect(arguments.socket)
            socket.send_fds(connection, [first_line], [2])
            connection.sendall(request)
            signals.disarm()
        except Interrupted:
            return failure.interrupted(1, {}, signals.reason, format=options.get("format"))
        except RequestError as error:
            return failure.refuse(1, {}, error, format=options.get("format"))
        except OSError as error:
            what = f"{arguments.socket} ({error.strerror or error})"
            refused = RequestError(
                "socket", f"expected a standby that listens there: {what}", label="--socket"
            )
            return failure.refuse(1, {}, refused, format=options.get("format"))
        return _Relay(connection, signals, arguments.socket).run()


def _request(arguments: Namespace) -> bytes:
    """Return the request; empty when it is read from stdin."""
    if arguments.request is not None:
        return read_file(arguments.request) + b"\n"
    return b"{}\n" if arguments.prompt is not None else b""


def _preamble(options: dict[str, Any]) -> bytes:
    if "format" not in options and os.isatty(1):
        options = {**options, "format": "pretty"}
    return preamble(str(Path.cwd()), _environ(), options)


def _environ() -> dict[str, str]:
    if not any(name.endswith("_FD") for name in os.environ):
        return dict(os.environ)
    from agent_runtime.providers.keys import received  # the descriptors are this process's own

    return received(os.environ)


class _Relay:
    """Forwards stdin to the run, its events to stdout, and signals to its process, until it has ended."""

    def __init__(self, connection: socket.socket, signals: SignalHandler, path: str) -> None:
        self._connection, self._handler, self._path = connection, signals, path
        self._pid = 0
        self._exit: int | None = None
        self._signals: list[int] = []  # all signals that were received
        self._waiting: list[int] = []  # signals that were not forwarded yet
        self._begun = b""  # the beginning of an incomplete line
        self._unwritten = bytearray()
        self._poll = select.poll()

    def run(self) -> int:
        """Relay until the run has ended; returns the exit status."""
        arrived = SignalDescriptor(self._handler.handled)
        be_prompt()
        if early := self._handler.reason:
            self._signalled(signal.Signals[early], 0)
        stdin = -1
        with suppress(OSError):  # stdin may be closed
            stdin = os.dup(0)
            self._poll.register(stdin, select.POLLIN)
        self._poll.register(arrived, select.POLLIN)
        while True:
            self._watch_one_end()
            for fd, _ in self._poll.poll():
                if fd == arrived.fileno():
                    for number, sender in arrived.received():
                        self._signalled(number, sender)
                elif fd == stdin:
                    self._forward(fd)
                elif fd == _STDOUT:
                    if not self._write():
                        return ExitCode.STDOUT_CLOSED
                elif piece := self._receive():
                    self._take(piece)
                else:
                    return self._ended()

    def _watch_one_end(self) -> None:
        """Read from the connection only when all events are written. Nothing here blocks: signals are read by poll."""
        ends = [(self._connection.fileno(), select.POLLIN), (_STDOUT, select.POLLOUT)]
        (watched, flags), (other, _) = reversed(ends) if self._unwritten else ends
        self._poll.register(watched, flags)
        with suppress(KeyError):
            self._poll.unregister(other)

    def _receive(self) -> bytes:
        try:
            return self._connection.recv(_PIECE)
        except ConnectionError:
            return b""

    def _forward(self, fd: int) -> None:
        piece = os.read(fd, _PIECE)
        if not piece:
            self._poll.unregister(fd)
        with suppress(OSError):  # the run has ended
            self._connection.sendall(piece) if piece else self._connection.shutdown(socket.SHUT_WR)

    def _take(self, piece: bytes) -> None:
        """Take complete lines for stdout, except those for this process."""
        *lines, self._begun = (self._begun + piece).splitlines(keepends=True)
        if self._begun.endswith(b"\n"):
            lines, self._begun = [*lines, self._begun], b""
        self._unwritten += b"".join(line for line in lines if not self._is_own(line))

    def _write(self) -> bool:
        """Write what a pipe takes without blocking. Returns False when the reader has gone."""
        try:
            del self._unwritten[: os.write(_STDOUT, self._unwritten[: select.PIPE_BUF])]
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True

    def _is_own(self, line: bytes) -> bool:
        if line.startswith(PID):
            self._pid = json.loads(line)["pid"]
            self._pass_on()
        elif line.startswith(EXIT):
            self._exit = json.loads(line)["exit"]
        else:
            return False
        return True

    def _signalled(self, number: int, sender: int) -> None:
        """Forward a signal, unless a tool of the run has sent it: the run ignores those too."""
        if self._pid and may_come_from_below(sender, self._pid):
            return
        if number in STOPPING:
            os.kill(os.getpid(), signal.SIGSTOP)
            return
        self._signals.append(number)
        self._waiting.append(number)
        self._pass_on()

    def _pass_on(self) -> None:
        while self._pid and self._waiting:
            with suppress(ProcessLookupError):
                os.kill(self._pid, self._waiting.pop(0))

    def _ended(self) -> int:
        if self._exit is not None:
            return self._exit
        if self._signals:
            return 128 + self._signals[0]
        print(f"agent-runtime: {_how_it_ended(self._path, self._pid)}", file=sys.stderr)
        return ExitCode.FAILED


def _how_it_ended(path: str, pid: int) -> str:
    """Return what has happened to a run whose connection was closed before its end; `pid` is 0 before its start.

    The standby knows it a moment after the connection was closed.
    """
    deadline = time.monotonic() + _ANSWER_SECONDS
    while True:
        try:
            killed = _killed_by(path, pid)
        except OSError:
            return "the standby has gone, and the run with it"
        if killed:
            return f"the process of the run ({pid}) was killed by {name_of(killed)}; the standby goes on"
        if not pid:
            return "the standby goes on, but has not started the run; its stderr says why"
        if time.monotonic() > deadline:
            return f"the process of the run ({pid}) has gone; the standby goes on"
        time.sleep(0.05)


def _killed_by(path: str, pid: int) -> int:
    """Return the signal that has killed a run; 0 when it is not known. Raises OSError when there is no standby."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ANSWER_SECONDS)
        connection.connect(path)
        connection.sendall(json.dumps({PREAMBLE: {"ended": pid}}).encode() + b"\n")
        with connection.makefile("rb") as answer:
            line = answer.readline(_PIECE)
    return int(json.loads(line)["killed"]) if line.startswith(KILLED) else 0
