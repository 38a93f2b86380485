"""Starting the process of a run: forked by a standby that `serve` keeps, or from scratch where there is none."""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from agent_runtime.protocol.handover import PID, preamble
from agent_runtime.providers.provider_variables import key_variables
from agent_runtime.system.descriptor_limit import Limit, descriptor_limit, limit_descriptors

log = logging.getLogger(__name__)

_PROGRAM = (sys.executable, "-I", "-m", "agent_runtime")
# for a standby to answer with the pid of a run; it takes milliseconds on a machine that responds
_SECONDS = 30.0


@dataclass(frozen=True)
class Streams:
    """The descriptors of a run's stdin, stdout and stderr."""

    stdin: int
    stdout: int
    stderr: int


class Launcher:
    """Starts runs. They go on when this process ends.

    Args:
        environ: the environment of the runs, with the models' keys.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        self._lock = threading.Lock()
        self._children: set[subprocess.Popen[bytes]] = set()
        self._standby: _Standby | None = None
        self._descriptors = descriptor_limit()  # for the runs, even when that of this process is raised later

    def warm_up(self) -> None:
        """Start a standby. Runs are started from scratch until it is ready."""
        self._standby = _Standby(self._environ, self._descriptors)

    def wait(self, seconds: float) -> None:
        """Wait until the standby is ready, at most this long."""
        if self._standby:
            self._standby.wait(seconds)

    def launch(self, request: bytes, streams: Streams) -> int:
        """Start a run; returns the pid of its process. May be called in any thread.

        Raises:
            OSError: the process cannot be started.
        """
        standby = self._standby
        if standby and standby.ready():
            try:
                return standby.fork(request, streams, self._environ)
            except EOFError:
                self._replace(standby)
        return self._spawn(request, streams)

    def reap(self) -> None:
        """Forget the processes that have ended, so that no zombie remains."""
        with self._lock:
            self._children = {child for child in self._children if child.poll() is None}

    def close(self) -> None:
        """End the standby; its runs go on."""
        if self._standby:
            self._standby.close()
        self.reap()

    def _replace(self, standby: _Standby) -> None:
        with self._lock:
            if self._standby is standby:
                log.warning("the standby has ended; a new one is started")
                standby.close()
                self.warm_up()

    def _spawn(self, request: bytes, streams: Streams) -> int:
        # the request and the keys are passed in files without names: processes of this user can read an environment
        with ExitStack() as files:
            body = files.enter_context(_in_memory(request))
            keys = {
                f"{name}_FD": files.enter_context(_in_memory(self._environ[name].encode()))
                for name in key_variables() & self._environ.keys()
            }
            process = subprocess.Popen(
                [*_PROGRAM, "run", "--request", f"/dev/fd/{body}"],
                stdin=streams.stdin,
                stdout=streams.stdout,
                stderr=streams.stderr,
                env=_without_secrets(self._environ) | {name: str(number) for name, number in keys.items()},
                pass_fds=[body, *keys.values()],
                start_new_session=True,
            )
        limit_descriptors(process.pid, self._descriptors)
        with self._lock:
            self._children.add(process)
        return process.pid


@contextmanager
def _in_memory(data: bytes) -> Iterator[int]:
    """The descriptor of a file without a name."""
    with os.fdopen(os.memfd_create("input", os.MFD_CLOEXEC), "w+b") as file:
        file.write(data)
        file.seek(0)
        yield file.fileno()


def _without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in key_variables()}


class _Standby:
    """A standby process that gets its connections over a socket pair."""

    def __init__(self, environ: Mapping[str, str], descriptors: Limit) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ready = False
        with theirs:
            self._process = subprocess.Popen(
                [*_PROGRAM, "standby", "--handed", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_without_secrets(environ),  # each run gets its environment with its request
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        limit_descriptors(self._process.pid, descriptors)

    def ready(self) -> bool:
        """Whether it has warmed up."""
        if not self._ready:
            with suppress(BlockingIOError):
                self._ready = bool(self._socket.recv(1, socket.MSG_DONTWAIT))
        return self._ready

    def wait(self, seconds: float) -> None:
        """Wait until it has warmed up or has ended, at most this long."""
        if not self._ready:
            select.select([self._socket], [], [], seconds)

    def fork(self, request: bytes, streams: Streams, environ: Mapping[str, str]) -> int:
        """Start a run; returns the pid of its process.

        Raises:
            EOFError: the standby has ended, and no run was started.
            OSError: it does not respond; a run may have been started.
        """
        ours, theirs = socket.socketpair()
        with ours:
            ours.settimeout(_SECONDS)
            with theirs:
                try:
                    socket.send_fds(self._socket, [b"\0"], [theirs.fileno()])
                except OSError as error:
                    raise EOFError from error
            descriptors = [streams.stderr, streams.stdin, streams.stdout]
            with suppress(ConnectionError):  # then there is no answer
                socket.send_fds(ours, [preamble(str(Path.cwd()), dict(environ), {})], descriptors)
            with ours.makefile("rb") as reader:
                answer = reader.readline()
            if not answer.startswith(PID):
                raise EOFError
            with suppress(ConnectionError):  # the run was killed, which the readers of its stream notice
                ours.sendall(request + b"\n")
        return int(json.loads(answer)["pid"])

    def close(self) -> None:
        """Let the standby end, and wait for it."""
        self._socket.close()
        try:
            self._process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
