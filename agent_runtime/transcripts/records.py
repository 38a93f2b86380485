"""The records of a transcript: one JSON object per line, with its type in `kind`.

    header            first line: versions, ids, the workspace
    request           second line: the request with all defaults resolved, secrets masked
    mcp_server        a server that was ready before the first model call, and its tools; or why it failed
    prompt            what is new in the next model call, in readable form
    model_call        a request to a provider: digest and size of its body (whole bodies would grow quadratically)
    model_response    the response, chunk by chunk as the provider streamed it, or the error
    tool_result       the complete output of a tool
    control           user input, pause, cancel or timeout, and between which steps it arrived
    event             a line of the event stream, as it was written
    end               last line; missing when the process was killed

`writer` writes transcripts, `reader` reads them, `player` plays them back.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, get_args

from agent_runtime.errors import ErrorCode, ProviderError
from agent_runtime.models.base import Field, field_validator
from agent_runtime.protocol.events import AnyEvent, Event, Maybe, Outcome, Status
from agent_runtime.protocol.messages import ContentBlock, Frozen, WireFormat
from agent_runtime.protocol.tool_output import ToolOutput

SCHEMA_VERSION = 1


class Header(Frozen):
    """The first line. `workspace` is the absolute path in the sandbox of the recorded run."""

    kind: Literal["header"] = "header"
    schema_version: int = SCHEMA_VERSION
    runtime_version: str
    run_id: str
    created_at: str  # RFC 3339 UTC, milliseconds
    workspace: str


class RequestRecord(Frozen):
    """The request, including options of the command line, and what it was resolved to (limits, tools, ...)."""

    kind: Literal["request"] = "request"
    request: dict[str, Any]
    resolved: dict[str, Any] = Field(default_factory=dict)

    @property
    def history(self) -> Any:
        """What the run started with, besides the prompt; None without any. The first versions named it `past`."""
        return self.resolved.get("history", self.resolved.get("past"))


class McpServerRecord(Frozen):
    """An MCP server as it was reported at the start of the run: its tools (see mcp.tools.McpToolSpec), or an error."""

    kind: Literal["mcp_server"] = "mcp_server"
    at: int  # milliseconds since the header
    server: str
    tools: tuple[dict[str, Any], ...] = ()
    refused: dict[str, str] = Field(default_factory=dict)
    instructions: str = ""
    error: str = ""


class PromptRecord(Frozen):
    """What is new in the next model call; absent fields are unchanged since the previous call.

    `messages` are appended to the earlier ones, or replace them when the history was `replaced` (compacted, repaired).
    The data of images is left out; the provider's own items are in the responses only.
    """

    kind: Literal["prompt"] = "prompt"
    at: int  # milliseconds since the header
    call: int  # number of requests that were sent before
    system: Maybe[str] = None
    tools: Maybe[tuple[dict[str, Any], ...]] = None  # name, description, parameters
    messages: tuple[dict[str, Any], ...] = ()
    replaced: bool = False


class ModelCallRecord(Frozen):
    """A request to a provider. `call` counts requests from 1, `attempt` how often the same body was sent in a row."""

    kind: Literal["model_call"] = "model_call"
    at: int  # milliseconds since the header
    call: int
    attempt: int
    provider: str
    format: WireFormat
    model: str
    digest: str  # SHA-256 of the body as it is sent, in hexadecimal
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
        """Return the record of an error."""
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
        """Return the recorded error."""
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
    """The response to a request: raw chunks, with `offsets` in milliseconds since the request was sent.

    `error` is set when the attempt failed after the last chunk; `interrupted` when reading stopped before the end (the
    run was cancelled or timed out, or the response was damaged).
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
    """The result of a tool call: `content` as the model received it, including images and documents."""

    kind: Literal["tool_result"] = "tool_result"
    at: int
    id: str
    tool: str
    duration_ms: int
    content: tuple[ContentBlock, ...]
    is_error: bool = False
    outcome: Outcome = "completed"
    exit_code: Maybe[int] = None
    truncated: bool = False
    output_bytes: Maybe[int] = None
    output_file: Maybe[str] = None

    def output(self) -> ToolOutput:
        """Return the recorded output."""
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
    """A control message, cancellation or timeout, after `calls` requests had been sent and `results` tools had ended.

    `reason` of a cancellation: a control message ("cancelled"), SIGINT, SIGTERM, or a closed stdout.
    """

    kind: Literal["control"] = "control"
    at: int
    action: Literal["input", "answer", "pause", "resume", "freeze", "thaw", "cancel", "timeout"]
    calls: int
    results: int
    text: Maybe[str] = None
    id: Maybe[str] = None  # of the question that is answered
    reason: Maybe[str] = None


@cache
def _events() -> dict[str, type[Event]]:
    return {model.model_fields["type"].default: model for model in get_args(get_args(AnyEvent)[0])}


class EventRecord(Frozen):
    """A line of the event stream, as it was written; see the schema of events for its fields."""

    kind: Literal["event"] = "event"
    at: int
    event: dict[str, Any]

    @field_validator("event")
    @classmethod
    def _is_event(cls, event: dict[str, Any]) -> dict[str, Any]:
        model = _events().get(str(event.get("type")))
        if model is None or type(event.get("seq")) is not int:
            raise ValueError("an event has a known `type` and a `seq` that is an integer")
        # an event that was truncated has more fields than its model
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
    | McpServerRecord
    | PromptRecord
    | ModelCallRecord
    | ModelResponseRecord
    | ToolResultRecord
    | ControlRecord
    | EventRecord
    | End,
    Field(discriminator="kind"),
]
