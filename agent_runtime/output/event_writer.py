"""Writes the event stream to stdout: NDJSON lines of at most 1 MiB, in order, and nothing else.

`claim_stdout` moves fd 1 away before anything else can print to it. `EventWriter.put` numbers, truncates, masks and
records an event without blocking; `drain` waits until the reader has taken it (back pressure). Lines are written in
pieces of at most PIPE_BUF after poll(2) has reported space: the descriptor stays in blocking mode, because O_NONBLOCK
would affect all processes that share the pipe.
"""

from __future__ import annotations

import json
import os
import select
import stat
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent_runtime.output.file_lists import file_lists
from agent_runtime.output.lines import encode_line, is_too_long, shortened
from agent_runtime.output.masking import Masker
from agent_runtime.protocol import events

FLUSH_SECONDS = 2.0  # how long a reader that has stopped reading may delay the end
_CHUNK = select.PIPE_BUF


_NO_SECRETS = Masker(())
_WORKSPACE_FIELDS = {"path", "oldPath", "diff", "files", "deletedFiles"}  # of `file_edit` and `complete`
_NOT_MASKED = (
    "a file of the workspace contains a secret of the tools' environment; diffs and paths are not masked, so that they"
    " can be applied"
)


class StdoutClosed(Exception):
    """The reader of the stream has gone."""


class RecordingStopped(Exception):
    """The recording of a run cannot be continued; the message says why."""


def claim_stdout() -> int:
    """Reserve stdout for events: return a copy of fd 1, and redirect fd 1 to stderr. Raises OSError if it is closed."""
    fd = os.dup(1)  # not inheritable: no child process holds the stream open
    os.dup2(2, 1)
    return fd


def timestamp(now: float | None = None) -> str:
    """Return a time (seconds since the epoch, by default now) as RFC 3339 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(time.time() if now is None else now, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def payload_of(event: events.Event, seq: int, run_id: str) -> dict[str, Any]:
    """Return the JSON object of an event that is emitted now."""
    body = event.model_dump(mode="json", by_alias=True, exclude={"seq", "ts", "run_id", "type"})
    kind: str = event.type  # type: ignore[attr-defined]
    return {"type": kind, "seq": seq, "ts": timestamp(), "runId": run_id, **body}


class EventWriter:
    """Writes the events of one run.

    Args:
        fd: the descriptor to write to.
        run_id: part of every event.
        mask: masks secrets.
        spill: folder for the whole text of events that had to be truncated; created when needed.
        tee: called with every line that is emitted (a recording). When it raises RecordingStopped it is not
            called again, and a notice is emitted.
    """

    def __init__(
        self,
        fd: int,
        run_id: str,
        *,
        mask: Masker = _NO_SECRETS,
        spill: Path | None = None,
        tee: Callable[[str], None] | None = None,
    ) -> None:
        self.fd, self.run_id, self.mask = fd, run_id, mask
        self._spill, self._tee = spill, tee
        self._unmasked = self._reported = False  # whether a diff contains a secret of the tools
        self.seq = 0
        self.closed = False  # the reader has gone
        self.ended = False  # `complete` was emitted
        self.last = time.monotonic()
        self._pending: deque[bytes] = deque()
        self._direct = stat.S_ISREG(os.fstat(fd).st_mode)
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)

    def put(self, event: events.Event) -> None:
        """Queue an event, and write as much as the reader takes without waiting. Does nothing after `complete`."""
        if self.ended:
            return
        line = self._masked(payload_of(event, self.seq, self.run_id))
        if is_too_long(line):
            if isinstance(event, events.CompleteEvent):
                for notice in file_lists(event):
                    self.put(notice)
            payload = json.loads(line) | {"seq": self.seq}
            line = shortened(payload, encode_line(payload), self._spill)
        self.seq += 1
        self.ended = isinstance(event, events.CompleteEvent)
        self.last = time.monotonic()
        if not self.closed:
            self._pending.append(line.encode() + b"\n")
            self._write_ready()
        self.record(line)  # when it fails, it emits a notice
        if self._unmasked and not self._reported:
            self._reported = True
            self.put(events.NoticeEvent(code="not_masked", message=_NOT_MASKED))

    def _masked(self, payload: dict[str, Any]) -> str:
        """Encode the event with secrets masked; diffs and paths keep secrets that may be part of files."""
        line = encode_line(payload)
        masked = self.mask(line)
        if masked == line or self.mask.workspace is self.mask:
            return masked
        kept = json.loads(masked)
        names = _WORKSPACE_FIELDS | ({"details"} if payload.get("code") == "changed_files" else set())
        for name in names & payload.keys():
            kept[name] = json.loads(self.mask.workspace(json.dumps(payload[name], ensure_ascii=False)))
        line = encode_line(kept)
        self._unmasked |= line != masked
        return line

    def record(self, line: str) -> None:
        """Pass an emitted line to the recording."""
        if self._tee is None:
            return
        try:
            self._tee(line)
        except RecordingStopped as reason:
            self._tee = None
            message = f"the transcript cannot be written: {reason}"
            self.put(events.NoticeEvent(code="recording_stopped", message=message))

    @property
    def backlog(self) -> int:
        """The number of lines that the reader has not taken."""
        return len(self._pending)

    async def drain(self) -> None:
        """Wait until the reader has taken everything. Raises StdoutClosed when it has gone.

        Nothing is lost when this is cancelled: the next call writes the rest.
        """
        from anyio import wait_writable

        while self._pending:
            self._write_ready()
            if self._pending and not self.closed:
                await wait_writable(self.fd)
        if self.closed:
            raise StdoutClosed

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Write the rest, waiting at most `seconds` for the reader. Returns whether everything was written."""
        deadline = time.monotonic() + seconds
        while self._pending and not self.closed and (left := deadline - time.monotonic()) > 0:
            self._poll.poll(left * 1000)
            self._write_ready()
        return not self._pending

    def write_ready(self) -> bool:
        """Write what the reader takes at once. Returns whether it has taken everything."""
        self._write_ready()
        return not self._pending and not self.closed

    def _write_ready(self) -> None:
        while self._pending and not self.closed and (self._direct or self._writable()):
            head = self._pending[0]
            try:
                written = os.write(self.fd, head if self._direct else head[:_CHUNK])
            except BlockingIOError:  # another process has set O_NONBLOCK on the shared pipe
                return
            except OSError:  # closed, or the disk is full: no more events can be written
                self.lose()
                return
            if written < len(head):
                self._pending[0] = head[written:]
            else:
                self._pending.popleft()

    def _writable(self) -> bool:
        flags = self._poll.poll(0)
        if flags and flags[0][1] & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
            self.lose()
            return False
        return bool(flags)

    def lose(self) -> None:
        """Stop writing, because the reader has gone."""
        self.closed = True
        self._pending.clear()
