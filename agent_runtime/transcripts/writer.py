"""Writes a transcript during a run: line by line, with secrets masked. A failure to write does not fail the run."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from agent_runtime.errors import RequestError
from agent_runtime.output.event_writer import RecordingStopped, timestamp
from agent_runtime.protocol.events import Status
from agent_runtime.protocol.messages import Frozen, WireFormat
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.providers.json_body import json_of
from agent_runtime.transcripts.body_digest import BodyDigest
from agent_runtime.transcripts.encode import encode
from agent_runtime.transcripts.records import (
    ControlRecord,
    End,
    Header,
    McpServerRecord,
    ModelCallRecord,
    ModelResponseRecord,
    PromptRecord,
    RequestRecord,
    ToolResultRecord,
)
from agent_runtime.transcripts.rewrite import rewrite_chunks, without_secrets

Mask = Callable[[str], str]


class Recorder:
    """Appends records to a file of mode 0600, each in one write.

    Args:
        path: the transcript; an existing file is replaced.
        mask: masks secrets in a text, including secrets that are escaped as in JSON.

    When the file can no longer be written (for instance, the disk is full), the records written so far stay intact, and
    the next call of `event` raises RecordingStopped with the reason.

    Raises:
        RequestError: the file cannot be created; the field is `record`.
    """

    def __init__(self, path: Path, mask: Mask = lambda text: text) -> None:
        self.path = path
        self.calls = 0
        self._mask = mask
        self._failure = ""  # raised by the next `event`: only there can a notice be emitted
        self._results = 0
        self._digest = BodyDigest()
        self._last = ("", 0)  # digest of the last body, and how often it was sent
        self._size = 0  # bytes
        self._began = time.monotonic()
        self._file: int | None = _create(path)

    def begin(self, *, runtime_version: str, run_id: str, workspace: Path) -> None:
        """Write the header."""
        self._write_record(
            Header(
                runtime_version=runtime_version,
                run_id=run_id,
                created_at=timestamp(),
                workspace=str(workspace),
            )
        )

    def request(self, request: Mapping[str, Any], resolved: Mapping[str, Any]) -> None:
        """Write the request, which includes options of the command line, and what it was resolved to."""
        self._write_record(
            RequestRecord(request=without_secrets(dict(request)), resolved=without_secrets(dict(resolved)))
        )

    def event(self, line: str) -> None:
        """Write a line of the event stream, which is masked already.

        Raises:
            RecordingStopped: this record or an earlier one could not be written. Raised once.
        """
        self._append(f'{{"kind":"event","at":{self.now()},"event":{line}}}')
        if self._failure:
            failure, self._failure = self._failure, ""
            raise RecordingStopped(failure)

    def tool_result(self, call_id: str, tool: str, output: ToolOutput, duration_ms: int) -> None:
        """Write the output of a tool."""
        self._results += 1
        self._write(
            ToolResultRecord,
            {"at": self.now(), "id": call_id, "tool": tool, "duration_ms": duration_ms, **vars(output)},
        )

    def control(
        self,
        action: Literal["input", "answer", "pause", "resume", "freeze", "thaw", "cancel", "timeout"],
        *,
        text: str | None = None,
        id: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Write a control message, cancellation or timeout, with the current position in the run."""
        record = ControlRecord(
            at=self.now(),
            action=action,
            calls=self.calls,
            results=self._results,
            text=text,
            id=id,
            reason=reason,
        )
        self._write_record(record)

    def mcp_server(self, report: Mapping[str, Any]) -> None:
        """Write what became of an MCP server; see McpServerRecord."""
        self._write_record(McpServerRecord(at=self.now(), **report))

    def prompt(self, changes: Mapping[str, Any]) -> None:
        """Write what is new in the next model call; see PromptRecord."""
        self._write(PromptRecord, {"at": self.now(), "call": self.calls, **changes})

    def sent(self, body: dict[str, Any], *, provider: str, format: WireFormat) -> int:
        """Write the record of a request to a provider. Returns the number of the request."""
        raw = json_of(body)
        digest = self._digest.of(raw)
        attempt = self._last[1] + 1 if self._last[0] == digest else 1
        self._last = (digest, attempt)
        self.calls += 1
        values = {
            "at": self.now(),
            "call": self.calls,
            "attempt": attempt,
            "provider": provider,
            "format": format,
            "model": str(body.get("model", "")),
            "digest": digest,
            "body_bytes": len(raw),
            "messages": len(body.get("messages") or body.get("input") or ()),
        }
        self._write(ModelCallRecord, values)
        return self.calls

    def response(self, values: Mapping[str, Any]) -> None:
        """Write a response, a ModelResponseRecord. Secrets are masked even when they are split over several chunks."""
        chunks = rewrite_chunks(values["chunks"], self._mask)
        self._write(ModelResponseRecord, {**values, "chunks": chunks})

    def end(self, *, status: Status, exit_code: int) -> None:
        """Write the last record, and flush the file to disk."""
        self._write_record(End(at=self.now(), status=status, exit_code=int(exit_code)))
        self.close()

    def sync(self) -> None:
        """Write the file to the disk. Blocking."""
        if self._file is not None:
            with suppress(OSError):  # a device cannot be synced
                os.fsync(self._file)

    def close(self) -> None:
        """Close the file, with or without an `end` record. May be called twice."""
        self.sync()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def now(self) -> int:
        """Return the milliseconds since the recording started."""
        return int((time.monotonic() - self._began) * 1000)

    def _write_record(self, record: Frozen) -> None:
        self._write(type(record), vars(record))

    def _write(self, kind: type[Frozen], values: Mapping[str, Any]) -> None:
        if self._file is not None:
            self._append(self._mask(encode(kind, values)))

    def _append(self, line: str) -> None:
        if self._file is None:
            return
        data = f"{line}\n".encode()
        try:
            _write_all(self._file, data)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file, self._size)  # the records before stay readable
            self.close()
            self._failure = f"{self.path}: {error.strerror}"
        else:
            self._size += len(data)


def _create(path: Path) -> int:
    expected = "expected a file that can be written"
    # O_NONBLOCK: opening a FIFO fails at once and does not wait for a reader
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        file = os.open(path, flags, 0o600)
    except OSError as error:
        missing = "" if path.parent.is_dir() else f" (there is no folder {path.parent})"
        raise RequestError("record", f"{path}: {error.strerror}{missing}; {expected}") from error
    mode = os.fstat(file).st_mode
    if stat.S_ISREG(mode):
        os.set_blocking(file, True)
        with suppress(PermissionError):  # a writable file of another user keeps its mode
            os.fchmod(file, 0o600)
    elif stat.S_ISFIFO(mode):
        os.close(file)
        raise RequestError("record", f"{path}: this is a pipe; {expected}")
    return file


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
