"""The interface to a model. The loop uses `Model` only; adapters combine a `Wire` and a `Transport`.

    Model      = called by the loop: takes a ModelCall, passes on deltas, returns a Turn
    Wire       = one wire format, pure: encodes messages as a request body, decodes chunks to a turn
    Transport  = sends a body and yields the raw chunks: over HTTP, a recorder around one, or a replayed transcript

Recording and replay wrap a Transport, so a replay uses the same Wire as the live run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import field
from typing import Any, Literal, Protocol

from agent_runtime.errors import ProviderError
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import AssistantMessage, Message, Usage, WireFormat

Effort = Literal["low", "medium", "high", "xhigh", "max"]
DeltaKind = Literal["text", "thinking", "tool_input"]
StopReason = Literal[
    "end_turn",  # the model has finished
    "tool_calls",  # it waits for results
    "max_tokens",  # truncated by the output limit of the call
    "refusal",
    "context_overflow",
    "pause_turn",  # a hosted tool is still running: send the turn back and call again
]


@dataclass(frozen=True)
class ToolSpec:
    """A tool as it is described to the model.

    `native` maps a wire format to the tool object to send instead of a function (hosted tools, the provider's own tool
    types, free-form tools). A tool with `hosted=True` is run by the provider, and left out for other providers. A
    `deferred` tool is left to the provider's tool search, where it has one.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    native: dict[str, dict[str, Any]] = field(default_factory=dict)
    hosted: bool = False
    deferred: bool = False


@dataclass(frozen=True)
class AnswerFormat:
    """The JSON Schema of the final answer.

    wrapped: the answer is not an object, and is sent as the property `answer` of one.
    tool: takes the answer where the provider has no structured output.
    """

    schema: dict[str, Any]
    wrapped: bool
    tool: ToolSpec


@dataclass(frozen=True)
class ModelCall:
    """A model call, independent of the wire format.

    max_tokens: limit of the output; None for the model's own limit.
    """

    model: str
    system: str
    messages: Sequence[Message]
    tools: Sequence[ToolSpec] = ()
    max_tokens: int | None = None
    temperature: float | None = None
    effort: Effort | None = None
    thinking: bool | None = None
    parallel_tools: bool = True
    answer: AnswerFormat | None = None
    cache_key: str = ""  # the same for every call of a run or thread; providers use it for prompt caching


@dataclass(frozen=True)
class Delta:
    """A piece of the turn as it arrives. `id` is that of the tool call, for `kind="tool_input"`.

    `restart`: it replaces the earlier pieces of the same kind and id, which came from a failed attempt.
    """

    kind: DeltaKind
    text: str
    id: str = ""
    restart: bool = False


@dataclass(frozen=True)
class DroppedParameter:
    """A parameter that was left out because the model does not accept it (reported as a `notice`, once per run)."""

    parameter: str
    reason: str


@dataclass(frozen=True)
class Turn:
    """One finished turn. `usage` is None when the provider reported none.

    may_be_empty: the provider's models may end a task without a text, after their last tool call.
    """

    message: AssistantMessage
    stop: StopReason
    usage: Usage | None
    model: str = ""  # the name the provider answered with
    refusal: str = ""  # the provider's explanation, when stop is "refusal"
    may_be_empty: bool = False


class Decoder(Protocol):
    """Builds one turn from raw chunks, each the JSON object of one server-sent event."""

    @property
    def complete(self) -> bool:
        """Whether the provider has ended the turn. Later chunks, such as usage, are awaited for a short time only."""
        ...

    def feed(self, chunk: dict[str, Any]) -> Sequence[Delta]:
        """Decode the next chunk. Raises ProviderError when it is an error, or not of this format."""
        ...

    def finish(self) -> Turn:
        """Return the turn, after the last chunk. Raises ProviderError (retryable) when the stream is incomplete."""
        ...


class Wire(Protocol):
    """One wire format. Pure: no I/O, no clock."""

    format: WireFormat

    def encode(self, call: ModelCall) -> tuple[dict[str, Any], Sequence[DroppedParameter]]:
        """Return the request body, and the parameters that were left out."""
        ...

    def decoder(self, call: ModelCall) -> Decoder:
        """Return a new decoder for the answer to this call."""
        ...

    def adapted(self, error: ProviderError, body: dict[str, Any]) -> Wire | None:
        """Return this wire without what the provider refused in `body`; None when another attempt cannot help."""
        ...


class Transport(Protocol):
    """Sends a body, yields raw chunks in order."""

    def stream(self, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield the chunks of the answer. Raises ProviderError for every failure."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


OnDelta = Callable[[Delta], Awaitable[None]]


class Model(Protocol):
    """The model as the loop sees it."""

    async def turn(self, call: ModelCall, on_delta: OnDelta) -> Turn:
        """Run one turn. Raises ProviderError when it failed after all retries and fallbacks."""
        ...


@dataclass(frozen=True)
class Repair:
    """A call that may succeed where another was refused. `messages`: the history to keep once it has succeeded."""

    call: ModelCall
    messages: tuple[Message, ...] | None = None


class Repairer(Protocol):
    """Changes calls that a provider has refused; implemented by the conversation."""

    async def repair(self, call: ModelCall, error: ProviderError, *, again: bool = False) -> Repair | None:
        """Return the call without what caused the error, or shortened; None when nothing can be changed.

        `again`: an earlier repair of this call was not enough.
        Raises ProviderError when the history cannot be made to fit.
        """
        ...

    async def accept(self, repair: Repair) -> None:
        """Keep the changes of a repaired call that has succeeded."""
        ...
