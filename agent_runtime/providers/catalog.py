"""Providers and models, as data: a row for each. Nothing here is code; `registry` reads it.

A new provider of the Chat Completions kind is one row in `PROVIDERS`; a new model needs one only where it
differs from its family. Sources: the providers' own model pages and API references, and the types of the
installed SDKs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agent_runtime.protocol.messages import WireFormat

Thinking = Literal["none", "budget", "adaptive", "always", "effort"]
CallProcesses = Literal["claude", "codex", "platform"]


@dataclass(frozen=True)
class Provider:
    """Where a provider is and what its endpoint does not do as the format's inventor does."""

    base_url: str
    key_variable: str
    format: WireFormat = "openai-chat"
    needs_key: bool = True
    max_tokens_field: str = "max_tokens"
    stream_usage: bool = True  # takes stream_options.include_usage
    parallel_flag: bool = False  # takes parallel_tool_calls
    effort_style: Literal["", "reasoning_effort", "reasoning"] = ""
    thinking_style: Literal["", "thinking", "enable_thinking"] = ""  # how thinking is switched on and off
    cache_key: bool = False  # takes prompt_cache_key
    short_ids: bool = False  # tool call ids must be nine letters and digits
    hosted_tools: bool = False  # runs web_search itself
    aliases: tuple[str, ...] = ()


_OPENAI = "https://api.openai.com/v1"

PROVIDERS: dict[str, Provider] = {
    "anthropic": Provider("https://api.anthropic.com", "ANTHROPIC_API_KEY", "anthropic", hosted_tools=True),
    "openai": Provider(_OPENAI, "OPENAI_API_KEY", "openai-responses", cache_key=True, hosted_tools=True),
    "openai-chat": Provider(
        _OPENAI,
        "OPENAI_API_KEY",
        max_tokens_field="max_completion_tokens",
        parallel_flag=True,
        effort_style="reasoning_effort",
        cache_key=True,
    ),
    "google": Provider(
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "GEMINI_API_KEY",
        effort_style="reasoning_effort",
        aliases=("gemini",),
    ),
    "xai": Provider(
        "https://api.x.ai/v1",
        "XAI_API_KEY",
        max_tokens_field="max_completion_tokens",
        parallel_flag=True,
        effort_style="reasoning_effort",
        aliases=("grok",),
    ),
    "mistral": Provider(
        "https://api.mistral.ai/v1", "MISTRAL_API_KEY", stream_usage=False, parallel_flag=True, short_ids=True
    ),
    "deepseek": Provider("https://api.deepseek.com", "DEEPSEEK_API_KEY", thinking_style="thinking"),
    "groq": Provider(
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        max_tokens_field="max_completion_tokens",
        parallel_flag=True,
        effort_style="reasoning_effort",
    ),
    "openrouter": Provider(
        "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", parallel_flag=True, effort_style="reasoning"
    ),
    "ollama": Provider("http://127.0.0.1:11434/v1", "OLLAMA_API_KEY", needs_key=False),
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
        "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", thinking_style="thinking", aliases=("kimi",)
    ),
    "zai": Provider(
        "https://api.z.ai/api/paas/v4", "ZAI_API_KEY", thinking_style="thinking", aliases=("glm",)
    ),
}


@dataclass(frozen=True)
class ModelRow:
    """What a model takes. Tokens for the window and the output. `efforts` from low to high; empty: takes none."""

    prefix: str
    context_window: int
    max_output: int
    thinking: Thinking = "none"
    temperature: bool = True
    efforts: tuple[str, ...] = ()
    thinking_off: str = ""  # what switches thinking off; "" is: leave it out, "-" is: nothing does
    editor_tool: bool = False  # was trained on the provider's own text editor tool
    custom_tools: bool = False  # takes free-form tools
    vision: bool = True


_LOW3 = ("low", "medium", "high")
_LOW4 = ("low", "medium", "high", "max")
_XHIGH = ("low", "medium", "high", "xhigh")
_ALL = ("low", "medium", "high", "xhigh", "max")
_K = 1000
_M = 1000 * _K


def _claude(prefix: str, window: int, output: int, thinking: Thinking = "budget", **more: object) -> ModelRow:
    return ModelRow(prefix, window, output, thinking, **({"editor_tool": True} | more))  # type: ignore[arg-type]


def _gpt(prefix: str, window: int, output: int, efforts: tuple[str, ...], off: str = "none") -> ModelRow:
    return ModelRow(
        prefix,
        window,
        output,
        "effort",
        temperature=False,
        efforts=efforts,
        thinking_off=off,
        custom_tools=True,
    )


def _always(prefix: str, window: int, output: int, off: str) -> ModelRow:
    return _claude(prefix, window, output, "always", temperature=False, efforts=_ALL, thinking_off=off)


# The longest prefix that fits a model's name (lower case, without vendor, dots as dashes) is its row.
MODELS: tuple[ModelRow, ...] = (
    _claude("claude-3", 200 * _K, 4096, "none", editor_tool=False),
    _claude("claude-3-5", 200 * _K, 8192, "none", editor_tool=False),
    _claude("claude-3-7", 200 * _K, 64 * _K, editor_tool=False),
    _claude("claude-opus-4", 200 * _K, 32 * _K),
    _claude("claude-sonnet-4", 200 * _K, 64 * _K),
    _claude("claude-haiku-4", 200 * _K, 64 * _K),
    _claude("claude-opus-4-5", 200 * _K, 64 * _K, efforts=_LOW3),
    _claude("claude-opus-4-6", _M, 128 * _K, "adaptive", efforts=_LOW4),
    _claude("claude-sonnet-4-6", _M, 64 * _K, "adaptive", efforts=_LOW4),
    _claude("claude-opus-4-7", _M, 128 * _K, "adaptive", temperature=False, efforts=_ALL),
    _claude("claude-opus-4-8", _M, 128 * _K, "adaptive", temperature=False, efforts=_ALL),
    _claude(
        "claude-mythos-preview", _M, 128 * _K, "always", temperature=False, efforts=_ALL, thinking_off="-"
    ),
    _always("claude-opus-5", _M, 128 * _K, "disabled"),
    _always("claude-opus-5-5", _M, 128 * _K, "-"),
    _always("claude-sonnet-5", _M, 128 * _K, "disabled"),
    _always("claude-sonnet-5-5", _M, 128 * _K, "between_tools"),
    _always("claude-haiku-5", 200 * _K, 64 * _K, "-"),
    _always("claude-fable", _M, 128 * _K, "-"),
    _always("claude-mythos", _M, 128 * _K, "-"),
    _always("claude-", 200 * _K, 64 * _K, "-"),
    ModelRow("gpt-3-5", 16_385, 4096, vision=False),
    ModelRow("gpt-4", 8192, 4096, vision=False),
    ModelRow("gpt-4-turbo", 128 * _K, 4096),
    ModelRow("gpt-4o", 128 * _K, 16_384),
    ModelRow("gpt-4-1", 1_047_576, 32_768),
    ModelRow("gpt-oss", 131_072, 65_536, "effort", efforts=_LOW3, vision=False, thinking_off="-"),
    _gpt("gpt-", 400 * _K, 128 * _K, _XHIGH),
    _gpt("gpt-5", 400 * _K, 128 * _K, _LOW3, "minimal"),
    _gpt("gpt-5-pro", 400 * _K, 272 * _K, ("high",), "-"),
    _gpt("gpt-5-1", 400 * _K, 128 * _K, _LOW3),
    _gpt("gpt-5-1-codex-max", 400 * _K, 128 * _K, _XHIGH),
    _gpt("gpt-5-2", 400 * _K, 128 * _K, _XHIGH),
    _gpt("gpt-5-3", 400 * _K, 128 * _K, _XHIGH),
    _gpt("gpt-5-4", 1_050_000, 128 * _K, _XHIGH),
    _gpt("gpt-5-4-mini", 400 * _K, 128 * _K, _XHIGH),
    _gpt("gpt-5-4-nano", 400 * _K, 128 * _K, _XHIGH),
    _gpt("gpt-5-5", 1_050_000, 128 * _K, _XHIGH),
    _gpt("gpt-5-6", 1_050_000, 128 * _K, _ALL),
    _gpt("gpt-6", 1_050_000, 128 * _K, _ALL),
    _gpt("codex-", 200 * _K, 100 * _K, _LOW3, "-"),
    ModelRow("o1", 200 * _K, 100 * _K, "effort", temperature=False, efforts=_LOW3, thinking_off="-"),
    ModelRow("o3", 200 * _K, 100 * _K, "effort", temperature=False, efforts=_LOW3, thinking_off="-"),
    ModelRow("o4", 200 * _K, 100 * _K, "effort", temperature=False, efforts=_LOW3, thinking_off="-"),
    ModelRow("gemini-", 1_048_576, 65_536, "effort", efforts=_LOW3, thinking_off="none"),
    ModelRow("grok-", 256 * _K, 64 * _K),
    ModelRow("grok-3-mini", 131_072, 32 * _K, "effort", efforts=("low", "high"), vision=False),
    ModelRow("grok-4-fast", 2 * _M, 64 * _K),
    ModelRow("grok-4-5", 256 * _K, 64 * _K, "effort", efforts=_LOW3, thinking_off="-"),
    ModelRow("grok-code", 256 * _K, 64 * _K, vision=False),
    ModelRow("deepseek-", 128 * _K, 8192, vision=False),
    ModelRow("deepseek-reasoner", 128 * _K, 64 * _K, vision=False),
    ModelRow("magistral-", 128 * _K, 40 * _K, vision=False),
    ModelRow("mistral-", 128 * _K, 32 * _K),
    ModelRow("devstral-", 256 * _K, 64 * _K, vision=False),
    ModelRow("codestral-", 256 * _K, 32 * _K, vision=False),
    ModelRow("qwen", 128 * _K, 32 * _K, vision=False),
    ModelRow("qwen3-max", 256 * _K, 64 * _K, vision=False),
    ModelRow("qwen3-coder", 256 * _K, 64 * _K, vision=False),
    ModelRow("kimi-", 256 * _K, 32 * _K),
    ModelRow("glm-", 128 * _K, 96 * _K, vision=False),
    ModelRow("glm-4-6", 200 * _K, 128 * _K, vision=False),
    ModelRow("glm-5", 200 * _K, 128 * _K, vision=False),
    ModelRow("llama", 128 * _K, 8192, vision=False),
)

UNKNOWN = ModelRow("", 128 * _K, 16_384)
