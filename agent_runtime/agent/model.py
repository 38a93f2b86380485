"""The interface to a model. The loop uses `Model` only; adapters combine a `Wire` and a `Transport`.

    Model      = what the loop calls: one turn in, deltas out, one Turn back
    Wire       = one wire format, pure: our messages to a request body, raw chunks back to a turn; imports no SDK
    Transport  = sends a body and yields the raw chunks: the SDK, a recording of one, or a replayed transcript

Recording and replay wrap a Transport, so that a replay drives the same Wire as the live run did.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import AssistantMessage, Message, Usage, WireFormat

Effort = Literal["low", "medium", "high", "xhigh", "max"]
DeltaKind = Literal["text", "thinking", "tool_input"]
StopReason = Literal[
    "end_turn",  # the model has finished
    "tool_calls",  # it waits for results
    "max_tokens",  # cut by the output limit of the call
    "refusal",
    "context_overflow",
    "pause_turn",  # a hosted tool runs on: send the turn back and call again
]


@dataclass(frozen=True)
class ToolSpec:
    """A tool as it is described to the model.

    `native` maps a wire format to the tool object to send in the place of the function (hosted tools, the provider's
    own tool types, free-form tools). A tool with `hosted=True` is run by the provider and left out for the others.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    native: dict[str, dict[str, Any]] = field(default_factory=dict)
    hosted: bool = False


@dataclass(frozen=True)
class ModelCall:
    """Everything that one model call needs, in any wire format.

    max_tokens: caps the output; None is the model's own cap.
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
    cache_key: str = ""  # the same for every call of a run or thread: lets a provider route to a warm cache


@dataclass(frozen=True)
class Delta:
    """A piece of the turn as it arrives. `id` is the call's, for `kind="tool_input"`.

    `restart`: it replaces all that came before of the same kind and id (an attempt broke off there).
    """

    kind: DeltaKind
    text: str
    id: str = ""
    restart: bool = False


@dataclass(frozen=True)
class DroppedParameter:
    """A parameter that this model does not accept, left out of the request (a `notice`, once a run)."""

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
        """Has the provider said that it is done? What may still come, such as usage, is not waited for long."""
        ...

    def feed(self, chunk: dict[str, Any]) -> Sequence[Delta]:
        """Take the next chunk. Raises ProviderError when the chunk is an error, or is not of this format."""
        ...

    def finish(self) -> Turn:
        """The turn, after the last chunk. Raises ProviderError (retryable) when the stream ended before its end."""
        ...


class Wire(Protocol):
    """One wire format. Pure: no SDK, no I/O, no clock."""

    format: WireFormat

    def encode(self, call: ModelCall) -> tuple[dict[str, Any], Sequence[DroppedParameter]]:
        """The request body, and what this model does not accept."""
        ...

    def decoder(self, call: ModelCall) -> Decoder:
        """A fresh decoder for the answer to this call."""
        ...

    def adapted(self, error: ProviderError, body: dict[str, Any]) -> Wire | None:
        """The same wire without what the provider has refused in this body; None when another try is useless."""
        ...


class Transport(Protocol):
    """Sends a body, yields raw chunks in order."""

    def stream(self, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Raises ProviderError for every failure, an SDK's own errors included."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


OnDelta = Callable[[Delta], Awaitable[None]]


class Model(Protocol):
    """What the loop calls."""

    async def turn(self, call: ModelCall, on_delta: OnDelta) -> Turn:
        """One turn. Raises ProviderError when it failed for good (retries and fallbacks are behind this method)."""
        ...


@dataclass(frozen=True)
class Repair:
    """A call that may succeed where another was refused. `messages`: the history to keep once it has succeeded."""

    call: ModelCall
    messages: tuple[Message, ...] | None = None


class Repairer(Protocol):
    """Changes calls that a provider has refused; the conversation."""

    async def repair(self, call: ModelCall, error: ProviderError, *, again: bool = False) -> Repair | None:
        """The call with what the error blames left out, or shorter; None when nothing can be changed.

        `again`: an earlier repair of this call was not enough.
        Raises ProviderError when the history cannot be made to fit.
        """
        ...

    async def accept(self, repair: Repair) -> None:
        """The repaired call has succeeded: keep what was changed."""
        ...
