"""The names of spans, attributes and metrics, by the GenAI conventions of OpenTelemetry (version 0.1.0).

The conventions are in development: whatever they rename is changed here.
"""

from __future__ import annotations

from typing import Any

from agent_runtime.protocol.messages import Usage

SCOPE = "agent-runtime"

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
AGENT = "gen_ai.agent.name"
CONVERSATION = "gen_ai.conversation.id"
TOOL = "gen_ai.tool.name"
TOOL_CALL = "gen_ai.tool.call.id"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"  # contents are opt-in
TOOL_RESULT = "gen_ai.tool.call.result"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITTEN = "gen_ai.usage.cache_creation.input_tokens"
REASONING = "gen_ai.usage.reasoning.output_tokens"
ERROR = "error.type"
MCP_METHOD = "mcp.method.name"
MCP_SERVER = "agent_runtime.mcp.server"
RUN_ID = "agent_runtime.run.id"
STOP_REASON = "agent_runtime.stop_reason"
COST = "agent_runtime.cost_usd"

TOKEN_USAGE = "gen_ai.client.token.usage"
OPERATION_SECONDS = "gen_ai.client.operation.duration"
AGENT_SECONDS = "gen_ai.invoke_agent.duration"
TOOL_SECONDS = "gen_ai.execute_tool.duration"
MCP_SECONDS = "mcp.client.operation.duration"
TOTAL_COST = "agent_runtime.cost"
TOKEN_BUCKETS = tuple(float(4**power) for power in range(14))
SECONDS_BUCKETS = tuple(0.01 * 2**power for power in range(14))

_PROVIDERS = {
    "openai-chat": "openai",
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "vertex": "gcp.vertex_ai",
    "foundry": "anthropic",  # as the SDK of Anthropic has it
    "azure-chat": "azure.ai.openai",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "xai": "x_ai",
    "moonshot": "moonshot_ai",
}


def provider_name(provider: str) -> str:
    """Return the conventions' name of a provider."""
    return _PROVIDERS.get(provider, provider)


def run_attributes(agent: str, provider: str, model: str, run_id: str, thread: str | None) -> dict[str, Any]:
    """Return the attributes of a run's span at its start."""
    known = {
        OPERATION: "invoke_agent",
        AGENT: agent,
        PROVIDER: provider_name(provider),
        REQUEST_MODEL: model,
        RUN_ID: run_id,
        CONVERSATION: thread,
    }
    return {name: value for name, value in known.items() if value is not None}


def chat_attributes(provider: str, model: str) -> dict[str, Any]:
    """Return the attributes of a model call's span at its start."""
    return {OPERATION: "chat", PROVIDER: provider_name(provider), REQUEST_MODEL: model}


def tool_attributes(tool: str, call_id: str) -> dict[str, Any]:
    """Return the attributes of a tool call's span at its start."""
    return {OPERATION: "execute_tool", TOOL: tool, TOOL_CALL: call_id, TOOL_TYPE: "function"}


def usage_attributes(usage: Usage) -> dict[str, int]:
    """Return the token counts; zeros are left out, except for input and output."""
    optional = {
        CACHE_READ: usage.cached_input_tokens,
        CACHE_WRITTEN: usage.cache_write_tokens,
        REASONING: usage.reasoning_tokens,
    }
    counts = {INPUT_TOKENS: usage.input_tokens, OUTPUT_TOKENS: usage.output_tokens}
    return counts | {name: count for name, count in optional.items() if count}
