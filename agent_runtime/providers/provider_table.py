"""The providers: one row for each.

A new provider of the Chat Completions kind is one row in `PROVIDERS`. Sources: the providers' API references, as of
November 2026.
"""

from __future__ import annotations

from agent_runtime.protocol.messages import OFFICE
from agent_runtime.providers.catalog import Provider

_OPENAI = "https://api.openai.com/v1"

PROVIDERS: dict[str, Provider] = {
    "anthropic": Provider(
        "https://api.anthropic.com",
        "ANTHROPIC_API_KEY",
        "anthropic",
        structured=True,
        hosted_tools=True,
        documents=("application/pdf",),
        tool_search=True,
    ),
    "openai": Provider(
        _OPENAI,
        "OPENAI_API_KEY",
        "openai-responses",
        cache_key=True,
        structured=True,
        hosted_tools=True,
        documents=("application/pdf", *OFFICE.values()),
        tool_search=True,
    ),
    "openai-chat": Provider(
        _OPENAI,
        "OPENAI_API_KEY",
        max_tokens_field="max_completion_tokens",
        parallel_flag=True,
        effort_style="reasoning_effort",
        cache_key=True,
        strict_chat_tools=True,
        structured=True,
        documents=("application/pdf",),
    ),
    "bedrock": Provider(
        "",  # each region has an address of its own
        "AWS_BEARER_TOKEN_BEDROCK",
        "anthropic",
        key_headers=("authorization",),
        platform="bedrock",
        credentials="aws",
        documents=("application/pdf",),
    ),
    "vertex": Provider(
        "",  # each region has an address of its own
        "ANTHROPIC_VERTEX_ACCESS_TOKEN",
        "anthropic",
        key_headers=("authorization",),
        platform="vertex",
        credentials="google",
        documents=("application/pdf",),
    ),
    "foundry": Provider(
        "",  # each resource has an address of its own
        "ANTHROPIC_FOUNDRY_API_KEY",
        "anthropic",
        key_headers=("x-api-key", "api-key"),
        credentials="azure",
        structured=True,
        hosted_tools=True,
        documents=("application/pdf",),
        tool_search=True,
    ),
    "azure": Provider(
        "",  # each resource has an address of its own
        "AZURE_OPENAI_API_KEY",
        "openai-responses",
        key_headers=("api-key",),
        credentials="azure",
        cache_key=True,
        structured=True,
        documents=("application/pdf",),
    ),
    "azure-chat": Provider(
        "",
        "AZURE_OPENAI_API_KEY",
        key_headers=("api-key",),
        credentials="azure",
        max_tokens_field="max_completion_tokens",
        parallel_flag=True,
        effort_style="reasoning_effort",
        strict_chat_tools=True,
        structured=True,
    ),
    "google": Provider(
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "GEMINI_API_KEY",
        effort_style="reasoning_effort",
        signatures_required=True,
        structured=True,
        aliases=("gemini",),
    ),
    "xai": Provider(
        "https://api.x.ai/v1",
        "XAI_API_KEY",
        max_tokens_field="max_completion_tokens",
        parallel_flag=True,
        effort_style="reasoning_effort",
        structured=True,
        aliases=("grok",),
    ),
    "mistral": Provider(
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        stream_usage=False,
        parallel_flag=True,
        effort_style="reasoning_effort",
        short_ids=True,
        user_after_tool=False,
    ),
    "deepseek": Provider(
        "https://api.deepseek.com",
        "DEEPSEEK_API_KEY",
        effort_style="reasoning_effort",
        thinking_style="thinking",
        reasoning_required=True,
    ),
    "groq": Provider(
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        max_tokens_field="max_completion_tokens",
        parallel_flag=True,
        effort_style="reasoning_effort",
    ),
    "openrouter": Provider(
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        parallel_flag=True,
        effort_style="reasoning",
        documents=("application/pdf",),
    ),
    "ollama": Provider(
        "http://127.0.0.1:11434/v1", "OLLAMA_API_KEY", needs_key=False, effort_style="reasoning_effort"
    ),
    "together": Provider("https://api.together.xyz/v1", "TOGETHER_API_KEY", effort_style="reasoning_effort"),
    "fireworks": Provider(
        "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY", effort_style="reasoning_effort"
    ),
    "cerebras": Provider(
        "https://api.cerebras.ai/v1",
        "CEREBRAS_API_KEY",
        max_tokens_field="max_completion_tokens",
        effort_style="reasoning_effort",
    ),
    "alibaba": Provider(
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "DASHSCOPE_API_KEY",
        thinking_style="enable_thinking",
        aliases=("qwen", "dashscope"),
    ),
    "moonshot": Provider(
        "https://api.moonshot.ai/v1",
        "MOONSHOT_API_KEY",
        thinking_style="thinking",
        reasoning_required=True,
        aliases=("kimi",),
    ),
    "zai": Provider(
        "https://api.z.ai/api/paas/v4", "ZAI_API_KEY", thinking_style="thinking", aliases=("glm",)
    ),
}
