"""The wire and the transport of an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from agent_runtime.agent.model import Wire
from agent_runtime.providers.endpoints import Endpoint

if TYPE_CHECKING:
    from agent_runtime.providers.transport import LiveTransport, StreamTimeouts


def wire_for(endpoint: Endpoint) -> Wire:
    """The wire of the endpoint's format. Imports nothing for HTTP: a replay needs nothing else."""
    if endpoint.format == "anthropic":
        from agent_runtime.providers.anthropic.encode import AnthropicMessages

        return AnthropicMessages(endpoint)
    if endpoint.format == "openai-responses":
        from agent_runtime.providers.openai_responses.encode import OpenAIResponses

        return OpenAIResponses(endpoint)
    from agent_runtime.providers.openai_chat.encode import OpenAIChat

    return OpenAIChat(endpoint)


def connect(
    endpoint: Endpoint,
    *,
    limits: StreamTimeouts | None = None,
    report_secrets: Callable[[Sequence[str]], None] = lambda secrets: None,
) -> LiveTransport:
    """A transport to the endpoint. Cheap: what HTTP needs is imported at the first call, in a thread."""
    from agent_runtime.providers.transport import LiveTransport

    return LiveTransport(endpoint, timeouts=limits, report_secrets=report_secrets)
