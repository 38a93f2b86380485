"""Refusals by the Responses API, in their words."""

from __future__ import annotations

from tests.providers.refusals.case import PATCH, Case, refusal

CASES = [
    Case(
        "openai:gpt-5.2",
        {"effort": "xhigh"},
        refusal(
            "Unsupported value: 'xhigh' is not supported with the 'gpt-5.2' model. "
            "Supported values are: 'none', 'low', 'medium', and 'high'.",
            "reasoning.effort",
        ),
        sent={"reasoning": {"summary": "auto", "effort": "high"}},
        reported=["effort"],
    ),
    Case(
        "openai:gpt-5.2",
        {},
        refusal("Encrypted content is not supported with this model.", "include"),
        gone=["include"],
        reported=["include"],
    ),
    Case(
        "openai:gpt-5.2",
        {},
        refusal(
            "Unsupported parameter: 'reasoning.summary' is not supported with this model.",
            "reasoning.summary",
        ),
        gone=["reasoning"],
        reported=["reasoning.summary"],
    ),
    Case(
        "openai:gpt-4.1",
        {"temperature": 0.3},
        refusal("Unsupported parameter: 'temperature' is not supported with this model.", "temperature"),
        gone=["temperature"],
        reported=["temperature"],
    ),
    Case(
        "openai:gpt-5.2",
        {"cache_key": "k"},
        refusal("Unknown parameter: 'prompt_cache_key'.", "prompt_cache_key"),
        gone=["prompt_cache_key"],
        reported=["prompt_cache_key"],
    ),
    Case(
        "openai:gpt-5.2",
        {"tools": [PATCH]},
        refusal("Invalid value: 'custom'. Supported values are: 'function'.", "tools[0].type"),
        sent={
            "tools": [
                {
                    "type": "function",
                    "name": "apply_patch",
                    "description": "Patch.",
                    "parameters": {"type": "object"},
                    "strict": False,
                }
            ]
        },
    ),
]
