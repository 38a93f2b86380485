"""Refusals by the Messages API, in their words."""

from __future__ import annotations

from tests.providers.refusals.case import EDITOR, LARGE, Case, custom, refusal

CASES = [
    Case(
        "anthropic:claude-new-1",
        {"max_tokens": LARGE},
        refusal(
            "max_tokens: 64000 > 32000, which is the maximum allowed number of output tokens for claude-new-1"
        ),
        sent={"max_tokens": 32_000},
        reported=["maxTokens"],
    ),
    Case(
        "claude-sonnet-4-5",
        {"temperature": 0.3},
        refusal("`temperature` is deprecated for this model."),
        gone=["temperature"],
        reported=["temperature"],
    ),
    Case(
        "claude-opus-4-6",
        {"effort": "max", "thinking": False},
        refusal("output_config: Extra inputs are not permitted"),
        gone=["output_config"],
        reported=["effort"],
    ),
    Case(
        "claude-opus-5",
        {"effort": "high", "thinking": False},
        refusal("output_config.effort: 'high' is not supported when thinking is disabled"),
        sent={"output_config": {"effort": "medium"}},
        reported=["effort"],
    ),
    Case(
        "claude-opus-5",
        {"thinking": False},
        refusal('"thinking.type.disabled" is not supported for this model. Use "thinking.type.adaptive".'),
        gone=["thinking"],
        reported=["thinking"],
    ),
    Case(
        custom("claude-opus-4-6", "anthropic"),
        {},
        refusal("adaptive thinking is not supported on this model"),
        gone=["thinking"],
        reported=["thinking"],
    ),
    Case(
        custom("claude-opus-4-6", "anthropic"),
        {},
        refusal("thinking.type: Input should be 'enabled' or 'disabled'"),
        gone=["thinking"],
        reported=["thinking"],
    ),
    Case(
        custom("claude-opus-4-6", "anthropic"),
        {},
        refusal("thinking.display: Extra inputs are not permitted"),
        sent={"thinking": {"type": "adaptive"}},
        reported=["thinking.display"],
    ),
    Case(
        "claude-sonnet-4-5",
        {"tools": [EDITOR]},
        refusal(
            "tools.0: Input tag 'text_editor_20250728' found using 'type' does not match any of the expected tags"
        ),
        sent={
            "tools": [
                {"name": "edit", "description": "Edit.", "input_schema": {"type": "object"}},
            ]
        },
    ),
    Case(
        custom("gateway-claude", "anthropic"),
        {},
        refusal("system.0.cache_control: Extra inputs are not permitted"),
        sent={"system": [{"type": "text", "text": "You are tested."}]},
        reported=["system.cache_control"],
    ),
]
