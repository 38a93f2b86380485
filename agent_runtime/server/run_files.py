"""The files of a run. A server that is restarted needs nothing else to find the run again.

events.ndjson      the event stream: the run's stdout
control            a FIFO: the run's stdin, which the run itself holds open
log.txt            the run's stderr
process.json       pid and start time of the run's process, and what the API knows of the run
transcript.ndjson  the recording; all that there is of a run that `agent-runtime run` has kept
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agent_runtime.engine.retention import is_held
from agent_runtime.server import control
from agent_runtime.server.killed_run import last_events
from agent_runtime.server.stream_file import complete_in, events_in
from agent_runtime.system.processes import Process
from agent_runtime.transcripts.store import NAME


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What is stored about a run besides its stream.

    It is written before the process is started, and again with its pid: a server may be killed in between.

    Attributes:
        pid, started: of its process; together they identify it (`started` in clock ticks since boot). 0: not known.
        server, server_started: of the server that starts it, likewise.
        created: RFC 3339, UTC.
        queue: of a run that a runner takes.
        fields: what the caller has said about the run, by the names of the API: `rolloutId`, `targetDeviceId`, ...
        is_kept: no server has started it; only its transcript is known, and it reads no control messages from here.
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
    is_kept: bool = False


@dataclass(frozen=True)
class RunFiles:
    """The folder of a run."""

    folder: Path

    @property
    def events(self) -> Path:
        """The event stream that the run writes for a server."""
        return self.folder / "events.ndjson"

    @property
    def stream(self) -> Path:
        """The file that contains the events."""
        return self.events if self.events.exists() else self.folder / NAME

    @property
    def control(self) -> Path:
        """The FIFO for control messages."""
        return self.folder / "control"

    @property
    def log(self) -> Path:
        """The run's stderr."""
        return self.folder / "log.txt"

    def write_record(self, record: RunRecord) -> None:
        """Store the record of the run, in one step."""
        temporary = self.folder / "process.json.new"
        temporary.write_text(json.dumps(asdict(record)), "utf-8")
        temporary.rename(self.folder / "process.json")

    def add_pid(self, record: RunRecord) -> None:
        """Store the record with the pid. On a full disk the file is overwritten, as the text only becomes longer."""
        try:
            self.write_record(record)
        except OSError:
            with (self.folder / "process.json").open("r+b") as file:
                file.write(json.dumps(asdict(record)).encode())

    def record(self) -> RunRecord | None:
        """The record of the run; None when there is no such run."""
        try:
            return RunRecord(**json.loads((self.folder / "process.json").read_text("utf-8")))
        except FileNotFoundError:
            return self._kept()
        except (OSError, ValueError, TypeError):
            return None

    def _kept(self) -> RunRecord | None:
        """The record of a run that only has a transcript."""
        with suppress(OSError, ValueError, KeyError), (self.folder / NAME).open("rb") as file:
            header, _, first = (json.loads(file.readline() or b"{}") for _ in range(3))
            start = first.get("event", {})
            return RunRecord(
                run_id=header["runId"],
                thread_id=start.get("threadId"),
                agent=start.get("agent") or "code-assistant",
                created=header["createdAt"],
                server=0,
                server_started=0,
                sandbox_id=start.get("sandboxId"),
                is_kept=True,
            )
        return None

    def is_alive(self, record: RunRecord) -> bool:
        """Whether the process of the run lives, or is being started."""
        if record.is_kept:
            return is_held(self.folder)
        if not record.pid:
            record = self.record() or record  # its pid may be known by now
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

    def send(self, message: dict[str, Any]) -> None:
        """Write a control message. Raises NotDelivered."""
        if self._complete() is not None:
            raise control.NotDelivered("the run has ended")
        if not self.control.exists():
            raise control.NotDelivered(
                "the run reads no control messages from here: no server has started it"
            )
        control.send(self.control, message)

    def outcome(self, record: RunRecord) -> dict[str, Any] | None:
        """The last event of a run that has ended, even if its process was killed; None while it is running."""
        complete = self._complete()
        if complete is None and not self.is_alive(record):
            missing = self.end(record)
            complete = json.loads(missing.splitlines()[-1]) if missing else self._complete()
        return complete

    def is_complete(self) -> bool:
        """Whether the last event is in the file."""
        return self._complete() is not None

    def end(self, record: RunRecord) -> bytes:
        """Write the last events of a run whose process was killed: once, even if several processes try.

        Returns the events that are not in its file because that cannot be written: it is a transcript, or the disk is
        full.
        """
        mode = "rb" if record.is_kept else "r+b"
        with self.stream.open(mode) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            stream = [json.loads(event.text) for event in events_in(whole.split(b"\n"))]
            if stream and stream[-1]["type"] == "complete":
                return b""
            last = last_events(record.run_id, record.thread_id, stream).encode()
            if record.is_kept:
                return last
            file.truncate(len(whole))  # an incomplete line is not an event
            written = 0
            with suppress(OSError):  # the disk is full
                written = os.pwrite(file.fileno(), last, len(whole))
            if written < len(last):
                file.truncate(len(whole))
                return last
            return b""

    def _complete(self) -> dict[str, Any] | None:
        with suppress(OSError, ValueError), self.stream.open("rb") as file:
            return complete_in(file)
        return None


def is_process(pid: int, started: int) -> bool:
    """Return whether the process with this pid and this start time is alive."""
    process = Process.of(pid)
    return process is not None and process.start == started and not process.gone
