"""The events of the stream, one class per type. The JSON Schema is generated from these classes.

An event is created without its envelope; the event writer adds `seq`, `ts` and `runId`. Fields of type `Maybe` are left
out when they are None; all other fields are always present.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from agent_runtime.errors import ErrorCode
from agent_runtime.models.base import Field
from agent_runtime.protocol.complete_event import CompleteEvent as CompleteEvent
from agent_runtime.protocol.complete_event import ErrorInfo as ErrorInfo
from agent_runtime.protocol.complete_event import LeftProcess as LeftProcess
from agent_runtime.protocol.complete_event import Status as Status
from agent_runtime.protocol.complete_event import StopReason as StopReason
from agent_runtime.protocol.complete_event import TotalUsage as TotalUsage
from agent_runtime.protocol.delta_events import HeartbeatEvent as HeartbeatEvent
from agent_runtime.protocol.delta_events import TextDeltaEvent as TextDeltaEvent
from agent_runtime.protocol.delta_events import ThinkingDeltaEvent as ThinkingDeltaEvent
from agent_runtime.protocol.delta_events import ToolInputDeltaEvent as ToolInputDeltaEvent
from agent_runtime.protocol.delta_events import ToolOutputDeltaEvent as ToolOutputDeltaEvent
from agent_runtime.protocol.event_base import Event as Event
from agent_runtime.protocol.event_base import Maybe as Maybe
from agent_runtime.protocol.messages import Usage
from agent_runtime.protocol.user_events import PlanEvent as PlanEvent
from agent_runtime.protocol.user_events import QuestionEvent as QuestionEvent

SCHEMA_VERSION = 1

NoticeCode = Literal[
    "parameter_dropped",
    "limit_near",
    "context_compacted",
    "history_repaired",
    "empty_answer",
    "frozen",
    "thawed",
    "fallback_model",
    "mcp_server_ready",
    "mcp_server_failed",
    "recording_stopped",
    "state_dir_unwritable",
    "request_differs",
    "not_masked",
    "tracking_degraded",
    "price_unknown",
    "skill_ignored",
    "background_awaited",
    "not_a_template",
    "changed_files",
    "subagent",
]
Outcome = Literal["completed", "failed", "timed_out", "cancelled", "not_started"]


class StartEvent(Event):
    """The first line of a run."""

    type: Literal["start"] = "start"
    schema_version: int = SCHEMA_VERSION
    runtime_version: str
    agent: str
    model: str
    provider: str
    workspace: str
    tools: tuple[str, ...]
    limits: dict[str, Any]
    thread_id: str | None = None
    sandbox_id: str | None = None
    rollout_id: Maybe[str] = None
    target_device_id: Maybe[str] = None
    idempotency_key: Maybe[str] = None
    execution_mode: Maybe[str] = None
    metadata: Any = None


class ThinkingEvent(Event):
    """The model's reasoning (`reasoning`), or what it writes before and between tool calls (`text`)."""

    type: Literal["thinking"] = "thinking"
    content: str
    kind: Literal["reasoning", "text"]
    turn: int


class ToolCallEvent(Event):
    """The model calls a tool. `input` is the parsed object; arguments that are not an object are sent as a string."""

    type: Literal["tool_call"] = "tool_call"
    id: str
    tool: str
    input: Any
    turn: int


class ToolResultEvent(Event):
    """The result of a tool call; exactly one for every `tool_call`."""

    type: Literal["tool_result"] = "tool_result"
    id: str
    tool: str
    output: str
    is_error: bool
    outcome: Outcome
    duration_ms: int
    exit_code: Maybe[int] = None
    output_bytes: Maybe[int] = None
    turn: int


class FileEditEvent(Event):
    """A file has changed. `diff` can be applied by `git apply`; when it is truncated, `diff_file` has the whole."""

    type: Literal["file_edit"] = "file_edit"
    path: str
    action: Literal["create", "modify", "delete", "rename"]
    old_path: Maybe[str] = None
    diff: str
    additions: int
    deletions: int
    binary: Maybe[bool] = None
    sha256: Maybe[str] = None
    size: Maybe[int] = None
    diff_file: Maybe[str] = None
    outside_workspace: Maybe[bool] = None
    source: Literal["tool", "shell"]
    tool_call_id: Maybe[str] = None


class DevUrlEvent(Event):
    """A server that the run started has begun or stopped listening."""

    type: Literal["dev_url"] = "dev_url"
    url: str
    port: int
    local_url: str
    status: Literal["up", "down"]
    pid: Maybe[int] = None
    command: Maybe[str] = None
    log_file: Maybe[str] = None
    http: Maybe[bool] = None
    loopback_only: bool


class UsageEvent(Event):
    """Sent after each model call: its tokens, and those in the context.

    `estimated`: counted by the runtime, because the provider reported no usage. `cost_usd` is None when the price of
    the model is not known.
    """

    type: Literal["usage"] = "usage"
    turn: int
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    total_tokens: int
    context_tokens: int
    context_window: int
    cost_usd: float | None = None
    estimated: Maybe[bool] = None


def usage_report(usage: Usage, turn: int, context: tuple[int, int], cost: float | None) -> UsageEvent:
    """The event for one model call.

    `context` is the number of tokens in the context, and the size of the window; `cost` is in US dollars.
    """
    return UsageEvent(
        turn=turn,
        **usage.model_dump(exclude={"estimated"}),
        total_tokens=usage.total_tokens,
        context_tokens=context[0],
        context_window=context[1],
        cost_usd=cost,
        estimated=usage.estimated or None,
    )


class ErrorEvent(Event):
    """Something failed. `attempt` and `retry_in_ms` are set when it will be tried again."""

    type: Literal["error"] = "error"
    code: ErrorCode
    message: str
    retryable: bool
    attempt: Maybe[int] = None
    retry_in_ms: Maybe[int] = None
    details: Maybe[dict[str, Any]] = None


class NoticeEvent(Event):
    """Information for the caller that requires no action."""

    type: Literal["notice"] = "notice"
    code: NoticeCode
    message: str
    details: Maybe[dict[str, Any]] = None


AnyEvent = Annotated[
    StartEvent
    | ThinkingEvent
    | ToolCallEvent
    | ToolResultEvent
    | FileEditEvent
    | DevUrlEvent
    | PlanEvent
    | QuestionEvent
    | UsageEvent
    | ErrorEvent
    | NoticeEvent
    | CompleteEvent
    | TextDeltaEvent
    | ThinkingDeltaEvent
    | ToolInputDeltaEvent
    | ToolOutputDeltaEvent
    | HeartbeatEvent,
    Field(discriminator="type"),
]
