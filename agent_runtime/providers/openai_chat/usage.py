"""The Chat Completions format: the tokens of a call, under the names that providers use."""

from __future__ import annotations

from typing import Any

from agent_runtime.protocol.messages import Usage
from agent_runtime.providers.wire_parts import count_of, counted, object_of, whole_input


def usage_of(usage: dict[str, Any] | None) -> Usage | None:
    """Return the usage. xAI and Gemini count reasoning in the total only: the output is the total minus the prompt."""
    if not usage:
        return None
    details = object_of(usage.get("prompt_tokens_details"))
    made = object_of(usage.get("completion_tokens_details"))
    cached = count_of(
        details.get("cached_tokens")
        or usage.get("prompt_cache_hit_tokens")  # DeepSeek
        or usage.get("cached_tokens")  # Moonshot
        or usage.get("cache_read_input_tokens")  # LiteLLM
    )
    written = count_of(
        details.get("cache_write_tokens")
        or details.get("cache_creation_input_tokens")
        or usage.get("cache_creation_input_tokens")
    )
    prompt = whole_input(count_of(usage.get("prompt_tokens")), cached, written)
    total, output = count_of(usage.get("total_tokens")), count_of(usage.get("completion_tokens"))
    return counted(
        input_tokens=prompt,
        output_tokens=max(output, total - prompt),
        reasoning_tokens=count_of(made.get("reasoning_tokens")) or max(0, total - prompt - output),
        cached_input_tokens=cached,
        cache_write_tokens=written,
    )
