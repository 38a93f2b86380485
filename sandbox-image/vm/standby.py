"""The standby of the virtual machine, which is started again whenever it has ended."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import machine
from runs import HOME, PROGRAM, USER

_PATH = Path("/run/agent/standby.sock")
_ATTEMPTS = 3


class Standby:
    """The process of the standby.

    Attributes:
        path: its socket.
    """

    def __init__(self) -> None:
        self.path = _PATH
        self.path.parent.mkdir(exist_ok=True)
        os.chown(self.path.parent, USER, USER)
        self._failures = 0
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self.path.unlink(missing_ok=True)  # of one that was killed
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [*PROGRAM, "standby", "--socket", str(self.path)],
            cwd="/workspace",
            env=HOME,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            user=USER,
            group=USER,
            extra_groups=[],
        )
        machine.spare_from_memory_shortage(process.pid)
        return process

    @property
    def is_ready(self) -> bool:
        """Whether it has made its socket."""
        return self.path.exists()

    @property
    def is_broken(self) -> bool:
        """Whether it has ended several times before it was ready."""
        return self._failures >= _ATTEMPTS

    def reaped(self, pid: int) -> None:
        """Start another one when this is the pid of the standby, unless it is broken."""
        if pid != self._process.pid:
            return
        self._failures = 0 if self.is_ready else self._failures + 1
        if not self.is_broken:
            self._process = self._start()

    def repair(self) -> None:
        """Try again to start one that is broken."""
        self._failures = 0
        self._process = self._start()
