"""Refusals by Chat Completions endpoints, in their words."""

from __future__ import annotations

from agent_runtime.testing.model_server import Fault, Turn
from tests.providers.refusals.case import BASH, LARGE, PICTURE, SAID, Case, custom, detail, refusal

CASES = [
    Case(
        custom("my-deployment"),
        {"max_tokens": 100},
        refusal(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            "max_tokens",
        ),
        gone=["max_tokens"],
        sent={"max_completion_tokens": 100},
    ),
    Case(
        custom("my-deployment"),
        {"temperature": 0.3},
        refusal(
            "Unsupported value: 'temperature' does not support 0.3 with this model. "
            "Only the default (1) value is supported.",
            "temperature",
        ),
        gone=["temperature"],
        reported=["temperature"],
    ),
    Case(
        custom("m"),
        {"temperature": 0.3},
        Turn(fault=Fault(400, body={"detail": "Unsupported parameter: temperature"})),
        gone=["temperature"],
        reported=["temperature"],
    ),
    Case(
        custom("m"),
        {"temperature": 0.3},
        refusal("This model does not support temperature"),
        gone=["temperature"],
        reported=["temperature"],
    ),
    Case(
        custom("served-by-vllm"),
        {"max_tokens": LARGE},
        refusal(
            "'max_tokens' or 'max_completion_tokens' is too large: 64000. This model's maximum context length is "
            "32768 tokens and your request has 1200 input tokens (64000 > 32768 - 1200)."
        ),
        sent={"max_tokens": 8192},
        reported=["maxTokens"],
    ),
    Case(
        custom("older-vllm"),
        {"max_tokens": LARGE},
        refusal(
            "This model's maximum context length is 8192 tokens. However, you requested 71000 tokens "
            "(7000 in the messages, 64000 in the completion)."
        ),
        sent={"max_tokens": 1192},
        reported=["maxTokens"],
    ),
    Case(
        custom("m"),
        {"thinking": False},
        Turn(fault=Fault(400, body={"error": 'json: unknown field "reasoning_effort"'})),
        gone=["reasoning_effort"],
        reported=["effort"],
    ),
    Case(
        custom("my-kimi"),
        {"temperature": 0.3},
        refusal("invalid temperature: only 1 is allowed for this model"),
        gone=["temperature"],
        reported=["temperature"],
    ),
    Case(
        custom("m"),
        {},
        refusal("Unrecognized request argument supplied: stream_options"),
        gone=["stream_options"],
        reported=["stream_options"],
    ),
    Case(
        custom("m"),
        {},
        detail("body", "stream_options"),
        gone=["stream_options"],
        reported=["stream_options"],
    ),
    Case(
        "openai-chat:gpt-4.1",
        {"cache_key": "k"},
        refusal("property 'prompt_cache_key' is unsupported"),
        gone=["prompt_cache_key"],
        reported=["prompt_cache_key"],
    ),
    Case(
        "openai-chat:gpt-4.1",
        {"cache_key": "k"},
        refusal('Invalid JSON payload received. Unknown name "prompt_cache_key": Cannot find field.'),
        gone=["prompt_cache_key"],
        reported=["prompt_cache_key"],
    ),
    Case(
        "openai-chat:gpt-4.1",
        {"tools": [BASH], "parallel_tools": False},
        refusal("Unknown parameter: 'parallel_tool_calls'.", "parallel_tool_calls"),
        gone=["parallel_tool_calls"],
        reported=["parallelTools"],
    ),
    Case(
        "openai-chat:gpt-4.1",
        {"max_tokens": 20_000},
        refusal(
            "max_tokens is too large: 20000. This model supports at most 16384 completion tokens, "
            "whereas you provided 20000.",
            "max_tokens",
        ),
        sent={"max_completion_tokens": 16_384},
        reported=["maxTokens"],
    ),
    Case(
        custom("deepseek-like"),
        {"max_tokens": LARGE},
        refusal("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"),
        sent={"max_tokens": 8192},
        reported=["maxTokens"],
    ),
    Case(
        custom("gpt-5.5"),
        {"tools": [BASH]},
        refusal(
            "Function tools with reasoning_effort are not supported for gpt-5.5 in /v1/chat/completions. "
            "Please use /v1/responses instead.",
            "reasoning_effort",
        ),
        sent={"reasoning_effort": "none"},
        reported=["thinking"],
    ),
    Case(
        custom("gpt-5.1"),
        {"effort": "low"},
        refusal(
            "Unsupported value: 'reasoning_effort' does not support 'low' with this model. "
            "Supported values are: 'medium' and 'high'.",
            "reasoning_effort",
        ),
        sent={"reasoning_effort": "medium"},
        reported=["effort"],
    ),
    Case(
        custom("grok-like"),
        {"effort": "high"},
        refusal("Model grok-4 does not support parameter reasoningEffort."),
        gone=["reasoning_effort"],
        reported=["effort"],
    ),
    Case(
        "google:gemini-9-flash",
        {"effort": "high"},
        refusal("reasoning_effort is not supported with this model"),
        gone=["reasoning_effort"],
        reported=["effort"],
    ),
    Case(
        "google:gemini-2.5-flash-new",
        {"thinking": False},
        refusal("Budget 0 is invalid. This model only works in thinking mode."),
        gone=["reasoning_effort"],
        reported=["thinking"],
    ),
    Case(
        custom("text-only"),
        {"messages": [PICTURE]},
        refusal("text-only is not a multimodal model"),
        reported=["images"],
    ),
    Case(
        custom("text-only"),
        {"messages": [PICTURE]},
        refusal("messages[1]: unknown variant `image_url`, expected `text` at line 1 column 120"),
        reported=["images"],
    ),
    Case(
        custom("routed"),
        {"messages": [PICTURE]},
        refusal("No endpoints found that support image input", status=404),
        reported=["images"],
    ),
    Case(
        custom("m"),
        {"messages": ["go", SAID, "on"]},
        refusal("'messages.2' : for 'role:assistant' : property 'reasoning_details' is unsupported"),
        reported=["messages.reasoning_details"],
    ),
]
