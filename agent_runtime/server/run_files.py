"""The files of a run that a server has started. They are all that a server needs to know it again after a restart.

events.ndjson   the event stream: the run's stdout
control         a FIFO: the run's stdin, which the run itself holds open
log.txt         the run's stderr
process.json    pid and start time of the run's process, and what the API knows of the run
"""

from __future__ import annotations

import fcntl
import json
import os
import select
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agent_runtime.server.killed_run import last_events
from agent_runtime.system.processes import Process

_PATIENCE = 10.0  # seconds for a run to read control messages


@dataclass(frozen=True)
class RunRecord:
    """What is kept of a run beside its stream.

    It is written before the process is started, and again with its pid: a server may be killed in between.

    Attributes:
        pid, started: of its process; together they identify it (`started` in clock ticks since boot). 0: not known.
        server, server_started: of the server that starts it, likewise.
        created: RFC 3339, UTC.
        queue: of a run that a runner takes.
        fields: what the caller has said about the run, by the names of the API: `rolloutId`, `targetDeviceId`, ...
    """

    run_id: str
    thread_id: str | None
    agent: str
    created: str
    server: int
    server_started: int
    pid: int = 0
    started: int = 0
    sandbox_id: str | None = None
    on_disconnect: str = "continue"
    queue: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunFiles:
    """The folder of a run."""

    folder: Path

    @property
    def events(self) -> Path:
        """The event stream."""
        return self.folder / "events.ndjson"

    @property
    def control(self) -> Path:
        """The FIFO for control messages."""
        return self.folder / "control"

    @property
    def log(self) -> Path:
        """The run's stderr."""
        return self.folder / "log.txt"

    def write_record(self, record: RunRecord) -> None:
        """Store what is known of the run, in one step."""
        temporary = self.folder / "process.json.new"
        temporary.write_text(json.dumps(asdict(record)), "utf-8")
        temporary.rename(self.folder / "process.json")

    def record(self) -> RunRecord | None:
        """The record of the run; None when no server has started it."""
        try:
            return RunRecord(**json.loads((self.folder / "process.json").read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def is_alive(self, record: RunRecord) -> bool:
        """Whether the process of the run lives, or is being started."""
        if record.pid:
            return is_process(record.pid, record.started)
        return is_process(record.server, record.server_started) or self._has_reader()

    def _has_reader(self) -> bool:
        """Whether a process has the control FIFO open for reading: the run, as its stdin."""
        try:
            os.close(os.open(self.control, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError:
            return False
        return True

    def send(self, message: dict[str, Any]) -> bool:
        """Write a control message, whole and by itself; False when the run has ended, or reads nothing for 10 s."""
        if self._complete() is not None:
            return False
        try:
            fd = os.open(self.control, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # nobody reads
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)  # a pipe takes more than PIPE_BUF bytes in pieces
            rest = memoryview(json.dumps(message).encode() + b"\n")
            while rest and select.select([], [fd], [], _PATIENCE)[1]:
                rest = rest[os.write(fd, rest) :]
        except OSError:
            return False
        finally:
            os.close(fd)
        return not rest

    def outcome(self, record: RunRecord) -> dict[str, Any] | None:
        """The last event of a run that has ended, be it because its process was killed; None while it is running."""
        complete = self._complete()
        if complete is None and not self.is_alive(record):
            self._end_killed_run(record)
            complete = self._complete()
        return complete

    def _complete(self) -> dict[str, Any] | None:
        try:
            with self.events.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(0, end - (1 << 21)))
                lines = file.read().splitlines()
        except OSError:
            return None
        last = lines[-1] if lines else b""
        with suppress(ValueError):
            event: dict[str, Any] = json.loads(last)
            return event if event.get("type") == "complete" else None
        return None

    def _end_killed_run(self, record: RunRecord) -> None:
        """Give a run whose process was killed its last events. Done once, whoever else does it at the same time."""
        with self.events.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            stream = [json.loads(line) for line in whole.split(b"\n") if line]
            if stream and stream[-1]["type"] == "complete":
                return
            file.truncate(len(whole))  # half a line is not an event
            file.seek(len(whole))
            file.write(last_events(record.run_id, record.thread_id, stream).encode())


def is_process(pid: int, started: int) -> bool:
    """Return whether the process with this pid and this start time is alive."""
    process = Process.of(pid)
    return process is not None and process.start == started and not process.gone
