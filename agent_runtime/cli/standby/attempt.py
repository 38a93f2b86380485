"""One run of a standby, in a process that was forked for it."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from agent_runtime.cli.run import answer
from agent_runtime.cli.standby.freezing import ask
from agent_runtime.engine.signals import FREEZING, SignalHandler
from agent_runtime.engine.stdin import IncompleteRequest, read_request
from agent_runtime.errors import ExitCode, RequestError
from agent_runtime.output.event_writer import claim_stdout
from agent_runtime.protocol.control import parse_control
from agent_runtime.protocol.handover import EXIT, KILLED, MAX_DESCRIPTORS, PID, PREAMBLE


class _ForAllRuns(BaseException):
    """The client has sent no request, but `freeze` or `thaw`."""


class _HowEnded(BaseException):
    """The client has sent no request, but asks how the run with this pid has ended."""


class _NotHandedOver(BaseException):
    """The process that starts the run has ended before it had sent the whole request."""


class Attempt:
    """One run in a child process. Its stdin and stdout are the connection, unless the client passes others.

    Args:
        connection: the connection to the client.
        mask: the signal mask from before the fork.
        channel: the socket to the standby; see freezing.
        killed: the signals that have killed earlier runs, by their pids.
    """

    def __init__(
        self,
        connection: socket.socket,
        mask: set[signal.Signals | int],
        channel: socket.socket,
        killed: Mapping[int, int],
    ) -> None:
        self._connection, self._mask, self._channel, self._killed = connection, mask, channel, killed
        self._options: dict[str, Any] = {}
        self._announced = False
        self._out = -1

    def run(self) -> int:
        """Execute the run; returns the exit status."""
        os.dup2(self._connection.fileno(), 0)
        os.dup2(self._connection.fileno(), 1)
        signals = SignalHandler()
        self._out = claim_stdout()
        code = self._answer(signals)
        self._leave()
        if self._announced:
            self._say(EXIT, code)
        self._hang_up()
        return code

    def _answer(self, signals: SignalHandler) -> int:
        try:
            return answer(
                self._read, self._options, out=self._out, signals=signals, control=self._channel.fileno()
            )
        except _ForAllRuns as message:
            line = ask(self._channel, message.args[0])
            self._leave()
            with suppress(OSError):
                os.write(self._out, line)
            return ExitCode.COMPLETED
        except _HowEnded as asked:
            self._say(KILLED, self._killed.get(asked.args[0], 0))
            return ExitCode.COMPLETED
        except _NotHandedOver:  # no events: to the reader of the stream, the run was never started
            print(
                "agent-runtime: the process that starts the run has ended before the request was sent",
                file=sys.stderr,
            )
            return ExitCode.FAILED

    def _read(self) -> tuple[Any, bytes]:
        """Read the request. With a preamble, take over the environment of its sender first."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)  # a pending signal is raised here
        data, descriptors, _, _ = socket.recv_fds(self._connection, 1 << 16, MAX_DESCRIPTORS)
        raw, rest = read_request(0, data)
        if isinstance(raw, dict) and raw.get("action") in FREEZING.values():
            parse_control(json.dumps(raw).encode())
            raise _ForAllRuns(raw)
        if not (isinstance(raw, dict) and raw.keys() == {PREAMBLE}):
            return raw, rest
        if isinstance(raw[PREAMBLE], dict) and isinstance(pid := raw[PREAMBLE].get("ended"), int):
            raise _HowEnded(pid)
        _move(descriptors[:1], [2])
        self._announced = True
        self._say(PID, os.getpid())
        self._become(raw[PREAMBLE])
        try:
            return read_request(0, rest)
        except (OSError, IncompleteRequest) as error:
            if len(descriptors) > 1:  # the sender is one of our programs, which write whole requests
                raise _NotHandedOver from error
            raise
        finally:  # an error is reported where the events would be
            _move(descriptors[1:], [0, self._out])

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

    def _leave(self) -> None:
        """Let the standby forget this process before the client reads the end and may send its next message."""
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)

    def _hang_up(self) -> None:
        """Close the stream even if other processes have the socket. Unread input would reset the connection."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
            while self._connection.recv(1 << 16, socket.MSG_DONTWAIT):
                pass


def _move(descriptors: list[int], to: list[int]) -> None:
    for descriptor, own in zip(descriptors, to, strict=False):
        os.dup2(descriptor, own, inheritable=own <= 2)
        os.close(descriptor)
