"""The recording of a run: what is in it, and how it is read. One JSON object a line, `kind` says which.

    header            first line: versions, ids, the workspace
    request           second line: the request as it was resolved, keys masked
    model_call        a body was sent to a provider: its digest and size (bodies would grow quadratically)
    model_response    what came back, chunk by chunk as the provider streamed it, or the error in its place
    tool_result       what a tool gave back, whole
    control           steering, pause, cancel, deadline: and between which steps it came
    event             a line of the event stream, as it was written
    end               last line; missing when the process was killed

`transcript_writer` writes it, `transcript_player` plays it back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import Field, TypeAdapter, ValidationError, field_validator

from agent_runtime.errors import ErrorCode, ProviderError, TranscriptError
from agent_runtime.events import Maybe, Outcome, Status
from agent_runtime.messages import Frozen, Image, Text, WireFormat
from agent_runtime.tool import ToolOutput

SCHEMA_VERSION = 1


class Header(Frozen):
    """The first line. `workspace` is absolute, as it was in the sandbox that recorded."""

    kind: Literal["header"] = "header"
    schema_version: int = SCHEMA_VERSION
    runtime_version: str
    run_id: str
    created_at: str  # RFC 3339 UTC, milliseconds
    workspace: str


class RequestRecord(Frozen):
    """The request with the command line's options in it, and what it came to (limits, tools, ...)."""

    kind: Literal["request"] = "request"
    request: dict[str, Any]
    resolved: dict[str, Any] = Field(default_factory=dict)


class ModelCallRecord(Frozen):
    """A body was sent. `call` counts bodies from 1, `attempt` how often the same one was sent in a row."""

    kind: Literal["model_call"] = "model_call"
    at: int  # milliseconds since the header
    call: int
    attempt: int
    provider: str
    format: WireFormat
    model: str
    digest: str  # SHA-256 of the body as JSON with sorted keys, in hexadecimal
    body_bytes: int
    messages: int


class Failure(Frozen):
    """A ProviderError; `retry_after` in seconds."""

    code: ErrorCode
    message: str
    retryable: bool
    retry_after: Maybe[float]
    status: Maybe[int]
    request_id: Maybe[str]
    details: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def of(cls, error: ProviderError) -> Failure:
        """The words of an error."""
        return cls(
            code=error.code,
            message=error.message,
            retryable=error.retryable,
            retry_after=error.retry_after,
            status=error.status,
            request_id=error.request_id,
            details=error.details,
        )

    def error(self) -> ProviderError:
        """The same error again."""
        return ProviderError(
            self.code,
            self.message,
            retryable=self.retryable,
            retry_after=self.retry_after,
            status=self.status,
            request_id=self.request_id,
            details=self.details,
        )


class ModelResponseRecord(Frozen):
    """The answer to a call: raw chunks, `offsets` milliseconds after the body was sent.

    `error` follows the last chunk when the attempt failed; `interrupted` says that the reader let go before
    the end (a cancel, a deadline, an answer given up because it was damaged).
    """

    kind: Literal["model_response"] = "model_response"
    at: int
    call: int
    format: WireFormat
    duration_ms: int
    chunks: tuple[dict[str, Any], ...]
    offsets: tuple[int, ...]
    error: Maybe[Failure]
    interrupted: bool = False


class ToolResultRecord(Frozen):
    """What a tool gave back: `content` as the model got it, images included."""

    kind: Literal["tool_result"] = "tool_result"
    at: int
    id: str
    tool: str
    duration_ms: int
    content: tuple[Annotated[Text | Image, Field(discriminator="type")], ...]
    is_error: bool = False
    outcome: Outcome = "completed"
    exit_code: Maybe[int]
    truncated: bool = False
    output_bytes: Maybe[int]
    output_file: Maybe[str]

    def output(self) -> ToolOutput:
        """The same output again."""
        return ToolOutput(
            content=self.content,
            is_error=self.is_error,
            outcome=self.outcome,
            exit_code=self.exit_code,
            truncated=self.truncated,
            output_bytes=self.output_bytes,
            output_file=self.output_file,
        )


class ControlRecord(Frozen):
    """Something from outside, after `calls` bodies had been sent and `results` tool results had come.

    `reason` tells a cancel by a control message from SIGINT, SIGTERM, a closed stdout.
    """

    kind: Literal["control"] = "control"
    at: int
    action: Literal["input", "pause", "resume", "cancel", "timeout"]
    calls: int
    results: int
    text: Maybe[str]
    reason: Maybe[str]


class EventRecord(Frozen):
    """A line of the event stream."""

    kind: Literal["event"] = "event"
    at: int
    event: dict[str, Any]

    @field_validator("event")
    @classmethod
    def _is_event(cls, event: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(event.get("type"), str) or type(event.get("seq")) is not int:
            raise ValueError("an event has a `type` (string) and a `seq` (integer)")
        return event


class End(Frozen):
    """The last line."""

    kind: Literal["end"] = "end"
    at: int
    status: Status
    exit_code: int


Record = Annotated[
    Header
    | RequestRecord
    | ModelCallRecord
    | ModelResponseRecord
    | ToolResultRecord
    | ControlRecord
    | EventRecord
    | End,
    Field(discriminator="kind"),
]


@dataclass(frozen=True)
class Transcript:
    """A recording as read. `records` holds all of it in order, header and request too."""

    path: Path
    header: Header
    request: RequestRecord
    records: Sequence[Any]  # of Record

    @property
    def events(self) -> list[dict[str, Any]]:
        """The event stream."""
        return [record.event for record in self.records if isinstance(record, EventRecord)]

    @property
    def end(self) -> End | None:
        """The last record; None when the run was killed."""
        last = self.records[-1]
        return last if isinstance(last, End) else None


def read(path: Path) -> Transcript:
    """Read a transcript. Raises TranscriptError naming the line, and what was expected there."""
    adapter: TypeAdapter[Any] = TypeAdapter(Record)
    records: list[Any] = []
    for number, line in _lines(path):
        value = _parse(path, number, line)
        _expect(path, number, value, records)
        try:
            records.append(adapter.validate_python(value))
        except (ValidationError, RecursionError) as error:
            _fail(path, number, _explain(value, error))
    if not records:
        _fail(path, 1, "the file is empty; expected a `header` record")
    if len(records) == 1:
        _fail(path, 2, "the file ends after its header; expected a `request` record")
    return Transcript(path, records[0], records[1], tuple(records))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    if not path.exists():
        raise TranscriptError(f"{path}: there is no such file; expected a transcript")
    if not path.is_file():  # a FIFO or a device could be waited for without end
        what = "a directory" if path.is_dir() else "not a regular file"
        raise TranscriptError(f"{path}: this is {what}; expected a transcript")
    try:
        with path.open("rb") as file:
            yield from enumerate(file, start=1)
    except OSError as error:
        raise TranscriptError(f"{path}: cannot be read: {error.strerror}") from error


def _parse(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.decode(), parse_constant=_refuse)
    except UnicodeDecodeError:
        _fail(path, number, "this is not UTF-8 text; expected a JSON object")
    except (ValueError, RecursionError) as error:
        if not line.endswith(b"\n") and number > 1:
            whole = f"{number - 1} whole records before it (`head -n {number - 1}` keeps them)"
            _fail(path, number, f"the file is cut in the middle of this line; {whole}")
        _fail(path, number, f"expected a JSON object: {error}")
    if not isinstance(value, dict):
        _fail(path, number, f"expected a JSON object, found {json.dumps(value)[:40]}")
    return value


def _expect(path: Path, number: int, value: dict[str, Any], before: Sequence[Any]) -> None:
    """Header first, request second, each once; nothing after the end; no newer version."""
    kind = value.get("kind")
    wanted = {1: "header", 2: "request"}.get(number)
    if wanted and kind != wanted:
        _fail(path, number, f"expected a `{wanted}` record, found one of kind {json.dumps(kind)[:40]}")
    if not wanted and kind in ("header", "request"):
        _fail(path, number, f"a second `{kind}` record; expected one a transcript")
    if before and isinstance(before[-1], End):
        _fail(path, number, "a record after the `end` record; expected nothing")
    if kind == "header" and (version := value.get("schemaVersion")) != SCHEMA_VERSION:
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        hint = " (it is newer than this program: update agent-runtime)" if newer else ""
        _fail(path, number, f"schemaVersion is {version!r}{hint}; expected {SCHEMA_VERSION}")


def _explain(value: dict[str, Any], error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply to be a record"
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    kind = f"`{value['kind']}` record" if isinstance(value.get("kind"), str) else "a record"
    return f"{kind}: {place + ': ' if place else ''}{first['msg']}"


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _fail(path: Path, number: int, what: str) -> NoReturn:
    raise TranscriptError(f"{path}, line {number}: {what}")
