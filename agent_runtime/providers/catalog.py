"""Providers and models: the types of the rows, and one row for each provider.

A new provider of the Chat Completions kind is one row in `PROVIDERS`; the models are in `models`. Sources: the
providers' API references and the types of the installed SDKs, as of November 2026.
"""

from __future__ import annotations

from typing import Literal

from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import OFFICE, WireFormat

# How a model thinks, and how that is asked for: "none": it does not; "fixed": it does, and no parameter changes it;
# "switched": it can be switched on and off; "effort": by an effort; "budget", "adaptive", "always": Anthropic's kinds
Thinking = Literal["unknown", "none", "fixed", "switched", "effort", "budget", "adaptive", "always"]
ToolFamily = Literal["claude", "codex", "platform"]


@dataclass(frozen=True)
class ThinkingOff:
    """How thinking is switched off: by sending `value`, by leaving thinking out of the request, or not at all."""

    by: Literal["value", "omission", "nothing"]
    value: str = ""


OMIT = ThinkingOff("omission")
NEVER = ThinkingOff("nothing")
NO_EFFORT = ThinkingOff("value", "none")


@dataclass(frozen=True)
class Provider:
    """Where a provider is, and where its endpoint differs from the one that defined the format."""

    base_url: str
    key_variable: str
    format: WireFormat = "openai-chat"
    needs_key: bool = True
    key_headers: tuple[str, ...] = ()  # where they are not the usual ones of the format
    platform: Literal["", "bedrock", "vertex"] = ""  # of a cloud that has paths and bodies of its own
    credentials: Literal["", "aws", "azure", "google"] = ""  # of a cloud, used where there is no key
    max_tokens_field: str = "max_tokens"
    stream_usage: bool = True  # takes stream_options.include_usage
    parallel_flag: bool = False  # takes parallel_tool_calls
    effort_style: Literal["", "reasoning_effort", "reasoning"] = ""
    thinking_style: Literal["", "thinking", "enable_thinking"] = ""  # how thinking is switched on and off
    cache_key: bool = False  # takes prompt_cache_key
    short_ids: bool = False  # tool call ids must be nine letters and digits
    structured: bool = False  # has structured output, which does not hinder tool calls
    hosted_tools: bool = False  # runs web_search itself
    documents: tuple[str, ...] = ()  # the media types of files that its models read, if they see images
    tool_search: bool = False  # finds deferred tools for the model
    system_role: bool = True  # takes messages of the role `system`
    user_after_tool: bool = True  # takes a user message right after a tool message
    strict_chat_tools: bool = False  # applies `ModelRow.chat_tools_without_thinking`
    reasoning_required: bool = False  # assistant messages must carry reasoning_content while the model thinks
    signatures_required: bool = False  # the first call of a turn must carry a thought signature (Gemini 3)
    aliases: tuple[str, ...] = ()


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


@dataclass(frozen=True)
class ModelRow:
    """What a model accepts. Tokens for the window and the output.

    pattern: the first parts of the model's name, see `models.find_model`; a `*` at its end stands for the
        rest of a part.
    exact: says that the numbers are this model's own; otherwise they are a guess from its family.
    efforts: the effort levels, from low to high; empty: it takes none.
    efforts_thinking_off: those that it takes while thinking is switched off; None: all of them.
    thinks_by_default: it thinks when the request does not mention thinking.
    chat_tools_without_thinking: with function tools, Chat Completions takes it only while it does not think.
    structured: whether it has structured output, if its provider has; "refused": found out in this run.
    signed_calls: gives calls a thought signature, and refuses those of other models without one.
    """

    pattern: str
    context_window: int
    max_output: int
    thinking: Thinking = "none"
    temperature: bool = True
    efforts: tuple[str, ...] = ()
    efforts_thinking_off: tuple[str, ...] | None = None
    thinking_off: ThinkingOff = OMIT
    thinks_by_default: bool = True
    editor_tool: bool = False  # was trained on the provider's own text editor tool
    custom_tools: bool = False  # takes free-form tools
    vision: bool = True
    chat_tools_without_thinking: bool = False
    signed_calls: bool = False
    structured: Literal["native", "no", "refused"] = "native"
    exact: bool = True
