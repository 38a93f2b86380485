"""One model call over a real connection, to a loopback provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from agent_runtime.agent.model import Delta, DroppedParameter, ModelCall, Turn
from agent_runtime.protocol.messages import Message, Text, ToolResult, UserMessage
from agent_runtime.providers.adapter import Adapter
from agent_runtime.providers.connect import connect, wire_for
from agent_runtime.providers.endpoints import Endpoint, resolve
from agent_runtime.providers.transport import LiveTransport, StreamTimeouts
from agent_runtime.testing.model_server import ModelServer
from agent_runtime.testing.model_streams import WireFormat

MODELS: dict[str, str] = {
    "anthropic": "anthropic:claude-sonnet-4-5",
    "openai-responses": "openai:gpt-5.2",
    "openai-chat": "openai-chat:gpt-5.2",
}


@dataclass
class Asker:
    """An adapter and all that it said on the side."""

    adapter: Adapter
    endpoint: Endpoint
    transport: LiveTransport
    deltas: list[Delta] = field(default_factory=list)
    dropped: list[DroppedParameter] = field(default_factory=list)

    async def ask(self, *messages: Message | str, **more: Any) -> Turn:
        """One turn; a string is a user's message."""
        self.deltas.clear()
        history = [UserMessage.of(m) if isinstance(m, str) else m for m in messages]
        call = ModelCall(self.endpoint.model, more.pop("system", "You are tested."), history, **more)
        return await self.adapter.turn(call, self._take)

    async def _take(self, delta: Delta) -> None:
        self.deltas.append(delta)

    def received(self, kind: str) -> str:
        """The text of the deltas of that kind."""
        return "".join(delta.text for delta in self.deltas if delta.kind == kind)


@asynccontextmanager
async def asking(
    server: ModelServer,
    model: str | WireFormat | Mapping[str, Any],
    *,
    timeouts: StreamTimeouts | None = None,
    environ: Mapping[str, str] | None = None,
    **changes: Any,
) -> AsyncIterator[Asker]:
    """An asker for a model (or the usual one of a format) at that server."""
    name = MODELS.get(model, model) if isinstance(model, str) else model
    endpoint = replace(resolve(name, environ or server.environ("anthropic")), **changes)
    transport = connect(endpoint, limits=timeouts or StreamTimeouts(first=60, between=60))
    dropped: list[DroppedParameter] = []

    async def on_dropped(item: DroppedParameter) -> None:
        dropped.append(item)

    adapter = Adapter(wire_for(endpoint), transport, on_dropped=on_dropped)
    try:
        yield Asker(adapter, endpoint, transport, dropped=dropped)
    finally:
        await transport.aclose()


def results(turn: Turn, *texts: str) -> UserMessage:
    """A result for every call of the turn."""
    said: Sequence[str] = texts or ["done"] * len(turn.message.calls)
    return UserMessage(
        blocks=tuple(
            ToolResult(id=call.id, name=call.name, content=(Text(text=text),), freeform=call.freeform)
            for call, text in zip(turn.message.calls, said, strict=True)
        )
    )


@asynccontextmanager
async def asking_at(
    model: str | Mapping[str, Any], environ: Mapping[str, str], **options: Any
) -> AsyncIterator[Asker]:
    """An asker for the model that an environment gives; `options`: of `connect`."""
    endpoint = resolve(model, environ)
    transport = connect(endpoint, **options)
    try:
        yield Asker(Adapter(wire_for(endpoint), transport), endpoint, transport)
    finally:
        await transport.aclose()
