"""The table of models, as of November 2026; `models` finds the row that a name means.

Sources: the model pages of Anthropic, OpenAI, Google, xAI, Mistral, DeepSeek, Groq, Moonshot, Z.ai and Alibaba, and
the model names in the types of the installed SDKs. What no row knows is learned from the provider's answers, see
`learning`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent_runtime.providers.catalog import NEVER, NO_EFFORT, OMIT, ModelRow, ThinkingOff

AS_OF = "2026-11"

_LOW3 = ("low", "medium", "high")
_LOW4 = ("low", "medium", "high", "max")
_XHIGH = ("low", "medium", "high", "xhigh")
_PRO = ("medium", "high", "xhigh")
_ALL = ("low", "medium", "high", "xhigh", "max")
_HIGH_MAX = ("high", "max")
_K = 1000
_M = 1000 * _K
_DISABLED = ThinkingOff("value", "disabled")
_MINIMAL = ThinkingOff("value", "minimal")


def _row(base: ModelRow, pattern: str, **changes: Any) -> ModelRow:
    return replace(base, pattern=pattern, **changes)


_CLAUDE = ModelRow("claude", 200 * _K, 64 * _K, "budget", thinks_by_default=False, editor_tool=True)
# thinks by default, its depth set by the effort alone
_CLAUDE_5 = ModelRow(
    "claude", _M, 128 * _K, "always", temperature=False, efforts=_ALL, thinking_off=NEVER, editor_tool=True
)
_GPT = ModelRow(
    "gpt", 400 * _K, 128 * _K, "effort", temperature=False, thinking_off=NO_EFFORT, custom_tools=True
)
_LARGE_GPT = replace(_GPT, context_window=1_050_000, efforts=_XHIGH, chat_tools_without_thinking=True)
# the models of ChatGPT: their effort is fixed
_CHAT_GPT = replace(_GPT, context_window=128 * _K, max_output=16_384, efforts=("medium",), thinking_off=NEVER)
_O = ModelRow("o", 200 * _K, 100 * _K, "effort", temperature=False, efforts=_LOW3, thinking_off=NEVER)
_GEMINI = ModelRow(
    "gemini", 1_048_576, 65_536, "effort", efforts=_LOW3, thinking_off=NEVER, signed_calls=True
)
_GROK = ModelRow("grok", 256 * _K, 64 * _K, "unknown", exact=False)
# thinking is switched on and off, in the provider's own way
_SWITCHED = ModelRow("", 128 * _K, 32 * _K, "switched", vision=False)
_BLIND = ModelRow("", 128 * _K, 32 * _K, vision=False)


def _sized(base: ModelRow, pattern: str, window: int, output: int, **changes: Any) -> ModelRow:
    return replace(base, pattern=pattern, context_window=window, max_output=output, **changes)


_ANTHROPIC = (
    _row(_CLAUDE_5, "claude", context_window=200 * _K, max_output=64 * _K, exact=False),
    _row(_CLAUDE, "claude-3", max_output=4096, thinking="none", editor_tool=False, structured="no"),
    _row(_CLAUDE, "claude-3-5", max_output=8192, thinking="none", editor_tool=False, structured="no"),
    _row(_CLAUDE, "claude-3-7", editor_tool=False, structured="no"),
    _row(_CLAUDE, "claude-opus-4", max_output=32 * _K, structured="no"),
    _row(_CLAUDE, "claude-sonnet-4", structured="no"),
    _row(_CLAUDE, "claude-sonnet-4-5"),
    _row(_CLAUDE, "claude-haiku-4"),
    _row(_CLAUDE, "claude-opus-4-5", efforts=_LOW3),
    _sized(_CLAUDE, "claude-opus-4-6", _M, 128 * _K, thinking="adaptive", efforts=_LOW4),
    _sized(_CLAUDE, "claude-sonnet-4-6", _M, 64 * _K, thinking="adaptive", efforts=_LOW4),
    _row(_CLAUDE_5, "claude-opus-4-7", thinking="adaptive", thinking_off=OMIT, thinks_by_default=False),
    _row(_CLAUDE_5, "claude-opus-4-8", thinking="adaptive", thinking_off=OMIT, thinks_by_default=False),
    _row(_CLAUDE_5, "claude-opus-5", thinking_off=_DISABLED, efforts_thinking_off=_LOW3),
    _row(_CLAUDE_5, "claude-opus-5-5"),
    _row(_CLAUDE_5, "claude-sonnet-5", thinking_off=_DISABLED),
    _row(_CLAUDE_5, "claude-sonnet-5-5", thinking_off=ThinkingOff("value", "between_tools")),
    _row(_CLAUDE_5, "claude-haiku-5", thinking_off=_DISABLED),
    _row(_CLAUDE_5, "claude-fable"),
    _row(_CLAUDE_5, "claude-mythos"),
)

_OPENAI = (
    _row(_LARGE_GPT, "gpt", context_window=400 * _K, exact=False),
    _sized(_BLIND, "gpt-3-5", 16_385, 4096, structured="no"),
    _sized(_BLIND, "gpt-35", 16_385, 4096, structured="no"),
    _sized(_BLIND, "gpt-4", 8192, 4096, structured="no"),
    _sized(_BLIND, "gpt-4-32k", 32_768, 4096, structured="no"),
    _sized(_BLIND, "gpt-4-0125", 128 * _K, 4096, structured="no"),
    _sized(_BLIND, "gpt-4-1106", 128 * _K, 4096, structured="no"),
    ModelRow("gpt-4-turbo", 128 * _K, 4096, structured="no"),
    ModelRow("gpt-4-vision", 128 * _K, 4096, structured="no"),
    ModelRow("gpt-4o", 128 * _K, 16_384),
    ModelRow("gpt-4o-2024-05-13", 128 * _K, 4096, structured="no"),
    ModelRow("gpt-4-1", 1_047_576, 32_768),
    ModelRow("gpt-4-5", 128 * _K, 16_384),
    ModelRow("gpt-oss", 131_072, 65_536, "effort", efforts=_LOW3, vision=False, thinking_off=NEVER),
    _row(_GPT, "gpt-5", efforts=_LOW3, thinking_off=_MINIMAL),
    _row(_GPT, "gpt-5-codex", efforts=_LOW3, thinking_off=NEVER),
    _row(_GPT, "gpt-5-pro", max_output=272 * _K, efforts=("high",), thinking_off=NEVER),
    ModelRow("gpt-5-chat", 128 * _K, 16_384, custom_tools=True),
    _row(_GPT, "gpt-5-1", efforts=_LOW3, thinks_by_default=False),
    _row(_GPT, "gpt-5-1-codex", efforts=_LOW3, thinking_off=NEVER),
    _row(_GPT, "gpt-5-1-codex-max", efforts=_XHIGH, thinking_off=NEVER),
    _row(_CHAT_GPT, "gpt-5-1-chat"),
    _row(_GPT, "gpt-5-2", efforts=_XHIGH, thinks_by_default=False),
    _row(_GPT, "gpt-5-2-codex", efforts=_XHIGH, thinking_off=NEVER),
    _row(_GPT, "gpt-5-2-pro", efforts=_PRO, thinking_off=NEVER),
    _row(_CHAT_GPT, "gpt-5-2-chat"),
    _row(_GPT, "gpt-5-3", efforts=_XHIGH, thinks_by_default=False, exact=False),
    _row(_GPT, "gpt-5-3-codex", efforts=_XHIGH, thinking_off=NEVER),
    _sized(_GPT, "gpt-5-3-codex-spark", 128 * _K, 32 * _K, efforts=_XHIGH, thinking_off=NEVER),
    ModelRow("gpt-5-3-chat", 128 * _K, 16_384, custom_tools=True),
    _row(_LARGE_GPT, "gpt-5-4", thinks_by_default=False),
    _row(_LARGE_GPT, "gpt-5-4-mini", context_window=400 * _K, thinks_by_default=False),
    _row(_LARGE_GPT, "gpt-5-4-nano", context_window=400 * _K, thinks_by_default=False),
    _row(_LARGE_GPT, "gpt-5-4-pro", efforts=_PRO, thinking_off=NEVER),
    _row(_LARGE_GPT, "gpt-5-5"),
    _row(_LARGE_GPT, "gpt-5-5-pro", efforts=_PRO, thinking_off=NEVER),
    _row(_LARGE_GPT, "gpt-5-6", efforts=_ALL),
    _row(_LARGE_GPT, "gpt-6", efforts=_ALL),
    _sized(_GPT, "codex", 200 * _K, 100 * _K, efforts=_LOW3, thinking_off=NEVER),
    _row(_O, "o1"),
    _row(_O, "o3"),
    _row(_O, "o4"),
    _sized(_O, "o1-mini", 128 * _K, 65_536, vision=False, structured="no"),
    _sized(_O, "o1-preview", 128 * _K, 32_768, vision=False, structured="no"),
    _row(_O, "o3-mini", vision=False),
    _row(_O, "o3-deep-research", efforts=("medium",)),
    _row(_O, "o4-mini-deep-research", efforts=("medium",)),
)

_GOOGLE = (
    _row(_GEMINI, "gemini", exact=False),
    ModelRow("gemini-2-0", 1_048_576, 8192),
    _row(_GEMINI, "gemini-2-5", thinking_off=NO_EFFORT, signed_calls=False),
    _row(_GEMINI, "gemini-2-5-pro", signed_calls=False),
    _row(_GEMINI, "gemini-3"),
    _row(_GEMINI, "gemini-3-pro", efforts=("low", "high")),
    _row(_GEMINI, "gemini-3-flash", thinking_off=_MINIMAL),
    _row(_GEMINI, "gemini-3-1-flash", thinking_off=_MINIMAL),
    _row(_GEMINI, "gemini-3-5-flash", thinking_off=_MINIMAL),
    _row(_SWITCHED, "gemma", vision=True, exact=False),
    _sized(_SWITCHED, "gemma-4", 262_144, 32_768, vision=True),
)

_XAI = (
    _GROK,
    _row(_GROK, "grok-2", context_window=131_072),
    _row(_GROK, "grok-3", context_window=131_072, thinking="none", vision=False),
    _row(
        _GROK,
        "grok-3-mini",
        context_window=131_072,
        thinking="effort",
        efforts=("low", "high"),
        thinking_off=NEVER,
        vision=False,
    ),
    _row(_GROK, "grok-4", thinking="fixed", thinking_off=NEVER),
    _row(_GROK, "grok-4-fast", context_window=2 * _M),
    _row(_GROK, "grok-4-1-fast", context_window=2 * _M),
    ModelRow("grok-4-20", _M, 30 * _K, "fixed", thinking_off=NEVER),
    ModelRow("grok-4-20-0309-non-reasoning", _M, 30 * _K),
    ModelRow("grok-4-3", _M, 30 * _K, "effort", efforts=_LOW3, thinking_off=NO_EFFORT),
    _row(_GROK, "grok-4-5", thinking="effort", efforts=_LOW3, thinking_off=NEVER),
    _row(_GROK, "grok-code", vision=False),
)

_MISTRAL = (
    ModelRow("magistral", 128 * _K, 40 * _K, "fixed", thinking_off=NEVER, exact=False),
    ModelRow("mistral", 128 * _K, 32 * _K, exact=False),
    _sized(_BLIND, "mistral-large-2411", 131_072, 16_384),
    ModelRow("mistral-large", 262_144, 262_144),
    ModelRow("mistral-medium", 131_072, 131_072, exact=False),
    ModelRow("mistral-medium-2604", 262_144, 262_144, "effort", efforts=("high",), thinking_off=NO_EFFORT),
    ModelRow("mistral-small", 128 * _K, 16_384, exact=False),
    ModelRow("mistral-small-2603", 256 * _K, 256 * _K, "effort", efforts=("high",), thinking_off=NO_EFFORT),
    _sized(_BLIND, "devstral", 128 * _K, 64 * _K, exact=False),
    ModelRow("devstral-small-2512", 256 * _K, 256 * _K),
    _sized(_BLIND, "codestral", 256 * _K, 32 * _K, exact=False),
)

_CHINA = (
    _sized(_SWITCHED, "deepseek", 128 * _K, 64 * _K, exact=False),
    _sized(_SWITCHED, "deepseek-chat", _M, 384 * _K, efforts=_HIGH_MAX),
    _sized(_SWITCHED, "deepseek-reasoner", _M, 384 * _K, efforts=_HIGH_MAX),
    _sized(_SWITCHED, "deepseek-v4", _M, 384 * _K, efforts=_HIGH_MAX),
    ModelRow("qwen*", 128 * _K, 32 * _K, "unknown", exact=False),
    _sized(_BLIND, "qwen-max", 32_768, 8192),
    _sized(_SWITCHED, "qwen-plus", _M, 32_768),
    _sized(_SWITCHED, "qwen-flash", _M, 32_768),
    _sized(_SWITCHED, "qwen-turbo", _M, 16_384),
    _sized(_BLIND, "qwen2", 32_768, 8192, exact=False),
    _sized(_BLIND, "qwen2-5", 131_072, 8192, exact=False),
    _sized(_SWITCHED, "qwen3", 131_072, 16_384, exact=False),
    _sized(_SWITCHED, "qwen3-max", 262_144, 65_536),
    _sized(_BLIND, "qwen3-coder", 262_144, 65_536),
    _sized(_SWITCHED, "qwen3-5", 262_144, 65_536, vision=True, exact=False),
    _sized(_SWITCHED, "qwen3-6", 262_144, 65_536, vision=True, exact=False),
    _sized(_SWITCHED, "qwen3-7", _M, 65_536, vision=True, exact=False),
    _sized(_SWITCHED, "qwen3-6-max", 262_144, 65_536),
    _sized(_SWITCHED, "qwen3-7-max", _M, 65_536),
    ModelRow("qwq", 131_072, 8192, "fixed", vision=False, thinking_off=NEVER),
    ModelRow("moonshot-v1", 128 * _K, 16_384, exact=False),
    _sized(_BLIND, "moonshot-v1-8k", 8192, 4096, exact=False),
    _sized(_BLIND, "moonshot-v1-32k", 32_768, 16_384, exact=False),
    ModelRow("kimi", 262_144, 32_768, "unknown", exact=False),
    _sized(_BLIND, "kimi-k2", 262_144, 262_144, exact=False),
    _sized(_BLIND, "kimi-k2-0711", 131_072, 16_384),
    ModelRow("kimi-k2-thinking", 262_144, 262_144, "fixed", vision=False, thinking_off=NEVER),
    _sized(_SWITCHED, "kimi-k2-5", 262_144, 262_144, vision=True, temperature=False),
    _sized(_SWITCHED, "kimi-k2-6", 262_144, 262_144, vision=True),
    ModelRow("kimi-k2-7", 262_144, 262_144, "fixed", temperature=False, thinking_off=NEVER),
    _sized(_SWITCHED, "glm", 128 * _K, 96 * _K, exact=False),
    _sized(_SWITCHED, "glm-4-5", 131_072, 98_304),
    _sized(_SWITCHED, "glm-4-5v", 64 * _K, 16_384, vision=True),
    _sized(_SWITCHED, "glm-4-6", 204_800, 131_072),
    _sized(_SWITCHED, "glm-4-6v", 128 * _K, 32_768, vision=True),
    _sized(_SWITCHED, "glm-4-7", 200 * _K, 131_072),
    _sized(_SWITCHED, "glm-5", 200 * _K, 131_072),
    _sized(_SWITCHED, "glm-5-2", _M, 131_072),
    _sized(_SWITCHED, "glm-5v", 200 * _K, 131_072, vision=True),
    ModelRow("minimax-m2", 204_800, 131_072, "fixed", thinking_off=NEVER, vision=False, exact=False),
    ModelRow("minimax-m3", 524_288, 250 * _K, "fixed", thinking_off=NEVER, exact=False),
)

_META = (
    ModelRow("llama", 128 * _K, 8192, exact=False),
    _sized(_BLIND, "llama-2", 4096, 4096, exact=False),
    _sized(_BLIND, "llama-3", 128 * _K, 8192, exact=False),
)

MODELS: tuple[ModelRow, ...] = (*_ANTHROPIC, *_OPENAI, *_GOOGLE, *_XAI, *_MISTRAL, *_CHINA, *_META)

UNKNOWN = ModelRow("", 128 * _K, 16_384, "unknown", thinking_off=OMIT, exact=False)
