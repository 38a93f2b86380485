"""What the recording of a run holds. One JSON object a line; `kind` says which.

    header            first line: versions, ids, the workspace
    request           second line: the request as it was resolved, keys masked
    model_call        a body was sent to a provider: its digest and size (bodies would grow quadratically)
    model_response    what came back, chunk by chunk as the provider streamed it, or the error in its place
    tool_result       what a tool gave back, whole
    control           steering, pause, cancel, deadline: and between which steps it came
    event             a line of the event stream, as it was written
    end               last line; missing when the process was killed

`transcript_writer` writes it, `transcript_reader` reads it, `transcript_player` plays it back.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator

from agent_runtime.errors import ErrorCode, ProviderError
from agent_runtime.protocol.events import AnyEvent, Event, Maybe, Outcome, Status
from agent_runtime.protocol.messages import Frozen, Image, Text, WireFormat
from agent_runtime.protocol.tool_output import ToolOutput

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


class PromptRecord(Frozen):
    """What is new in the call that follows: fields that are absent are those of the call before it.

    `messages` are appended to the earlier ones, or take their place where the history was `replaced` (compacted,
    repaired). Images are without their data, and the provider's own items are only in the responses.
    """

    kind: Literal["prompt"] = "prompt"
    at: int  # milliseconds since the header
    call: int  # bodies that were sent before
    system: Maybe[str] = None
    tools: Maybe[tuple[dict[str, Any], ...]] = None  # name, description, parameters
    messages: tuple[dict[str, Any], ...] = ()
    replaced: bool = False


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
    retry_after: Maybe[float] = None
    status: Maybe[int] = None
    request_id: Maybe[str] = None
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
    error: Maybe[Failure] = None
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
    exit_code: Maybe[int] = None
    truncated: bool = False
    output_bytes: Maybe[int] = None
    output_file: Maybe[str] = None

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
    text: Maybe[str] = None
    reason: Maybe[str] = None


_EVENTS: dict[str, type[Event]] = {
    model.model_fields["type"].default: model for model in get_args(get_args(AnyEvent)[0])
}


class EventRecord(Frozen):
    """A line of the event stream, as it was written: see the schema of events for its fields."""

    kind: Literal["event"] = "event"
    at: int
    event: dict[str, Any]

    @field_validator("event")
    @classmethod
    def _is_event(cls, event: dict[str, Any]) -> dict[str, Any]:
        model = _EVENTS.get(str(event.get("type")))
        if model is None or type(event.get("seq")) is not int:
            raise ValueError("an event has a known `type` and a `seq` that is an integer")
        # an event that was too long for a line may say more than its model does
        names = [field.alias or name for name, field in model.model_fields.items()]
        model.model_validate({name: event[name] for name in names if name in event})
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
    | PromptRecord
    | ModelCallRecord
    | ModelResponseRecord
    | ToolResultRecord
    | ControlRecord
    | EventRecord
    | End,
    Field(discriminator="kind"),
]
