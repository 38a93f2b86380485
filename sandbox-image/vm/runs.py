"""What the virtual machine executes: runs by the standby, and commands of agent-runtime. All have the same methods."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import machine

PROGRAM = ["/opt/agent-runtime/bin/python", "-I", "-m", "agent_runtime"]
USER = 1000
HOME = {"HOME": "/home/agent", "USER": "agent", "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
KILLED = 128 + signal.SIGKILL  # the exit status of a run that did not report one
_PIECE = 1 << 16  # bytes
_ENVELOPE = ("seq", "ts", "runId")


class Run:
    """A run: its connection to the standby, which has its events and takes its control lines.

    Args:
        message: `start` of the host, and in `lines` the control lines that it has sent since.
        standby: the socket of the standby.

    Attributes:
        id: the host's name for it.
        frozen: its notice `frozen`, until it is thawed.
        outgoing: bytes that are to be written to it.

    Raises:
        KeyError, TypeError, ValueError: the message is invalid.
        FileNotFoundError, ConnectionRefusedError, BlockingIOError: the standby takes no connection now.
    """

    def __init__(self, message: dict[str, Any], standby: Path) -> None:
        self.id: str = message["start"]
        self.frozen: dict[str, Any] | None = None
        self.outgoing = bytearray()
        place = {"cwd": message.get("cwd", "/workspace"), "env": HOME | message.get("env", {}), "options": {}}
        self.send({"standby": place})
        for line in (message["request"], *message["lines"]):
            self.send(line)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.setblocking(False)
        try:
            self._socket.connect(str(standby))
        except OSError:
            self._socket.close()
            raise
        self._pid = 0
        self._code: int | None = None
        self._last = "{}"  # the line of the last event
        self._begun = b""  # the beginning of an incomplete line

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._socket.fileno()

    def flags(self, *, readable: bool) -> int:
        """Return the flags of poll to wait for.

        Args:
            readable: whether its events can be taken now.
        """
        return (select.POLLIN if readable else 0) | (select.POLLOUT if self.outgoing else 0)

    def send(self, line: dict[str, Any]) -> None:
        """Send it a line, without blocking."""
        self.outgoing += json.dumps(line).encode() + b"\n"

    def write(self) -> None:
        """Write what it takes now."""
        try:
            del self.outgoing[: self._socket.send(self.outgoing[:_PIECE])]
        except BlockingIOError:
            pass
        except OSError:  # it has ended
            self.outgoing.clear()

    def read(self) -> list[str] | None:
        """Return the lines of events that have arrived; None at the end."""
        try:
            data = self._socket.recv(_PIECE)
        except BlockingIOError:
            return []
        except ConnectionError:
            data = b""
        *lines, self._begun = (self._begun + data).split(b"\n")
        found = [line.decode(errors="replace") for line in lines]
        events = [line for line in found if not self._is_own(line)]
        for line in events:
            self._last = line
            if '"code":"frozen"' in line:
                self.frozen = json.loads(line)
        return events if data else None

    def _is_own(self, line: str) -> bool:
        """Take the standby's lines about the process."""
        if line.startswith('{"pid": '):
            self._pid = json.loads(line)["pid"]
        elif line.startswith('{"exit": '):
            self._code = json.loads(line)["exit"]
        else:
            return False
        return True

    def end(self) -> dict[str, Any] | None:
        """Close it, and return the message about its end.

        When it has ended without `complete`, the message has the envelope of its last event, and a reason.
        """
        self._socket.close()
        message = {"exit": self.id, "code": KILLED if self._code is None else self._code}
        last = json.loads(self._last)
        if last.get("type") == "complete":
            return message
        was_victim = machine.was_killed_for_memory(self._pid)
        reason = (
            "it was killed because the machine is out of memory" if was_victim else "its process has ended"
        )
        return message | {"reason": reason, "last": {name: last[name] for name in _ENVELOPE if name in last}}


class Command:
    """A command of agent-runtime, whose lines of output are events. It is not part of a freeze.

    Args:
        message: `command` of the host.

    Raises KeyError, TypeError or OSError when it cannot be started.
    """

    outgoing = b""

    def __init__(self, message: dict[str, Any]) -> None:
        self.id: str = message["command"]
        self.frozen: dict[str, Any] | None = {"details": {}}
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            [*PROGRAM, *message["arguments"]],
            cwd="/workspace",
            env=HOME | message.get("env", {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
            user=USER,
            group=USER,
            extra_groups=[],
        )
        assert self._process.stdout
        self._stdout = self._process.stdout
        os.set_blocking(self._stdout.fileno(), False)
        self._begun = b""
        self._is_over = False

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._stdout.fileno()

    def flags(self, *, readable: bool) -> int:
        """Return the flags of poll to wait for."""
        return select.POLLIN if readable and not self._is_over else 0

    def send(self, line: dict[str, Any]) -> None:
        """End it for `cancel`; it takes no other input."""
        if line.get("action") == "cancel":
            with suppress(ProcessLookupError):
                self._process.terminate()

    def write(self) -> None:
        """Do nothing: it takes no input."""

    def read(self) -> list[str] | None:
        """Return the lines that have arrived; None at the end."""
        try:
            data = os.read(self.fileno(), _PIECE)
        except BlockingIOError:
            return []
        *lines, self._begun = (self._begun + data).split(b"\n")
        return [line.decode(errors="replace") for line in lines] if data else None

    def reaped(self, pid: int, status: int) -> bool:
        """Take the exit status of a process. Returns whether the command has ended, and was only waited for."""
        if pid == self._process.pid:
            self._process.returncode = status
        return self._is_over and self._process.returncode is not None

    def end(self) -> dict[str, Any] | None:
        """Close it, and return the message about its end; None as long as its process has not been reaped."""
        self._is_over = True
        code = self._process.returncode
        if code is None:
            return None
        self._stdout.close()
        return {"exit": self.id, "code": 128 - code if code < 0 else code}
