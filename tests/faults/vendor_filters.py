"""What vendors answer when a prompt or an answer is blocked, or the model makes an invalid call."""

from __future__ import annotations

from typing import Any

from tests.faults.vendor_codes import AGAIN, REFUSED

# name, status, body, meaning
FILTERS: list[tuple[str, int, Any, tuple[str, bool]]] = [
    (
        "azure-filter",
        400,
        {
            "error": {
                "message": "The response was filtered due to the prompt triggering the content "
                "management policy.",
                "code": "content_filter",
                "innererror": {"code": "ResponsibleAIPolicyViolation"},
            }
        },
        REFUSED,
    ),
    (
        "openai-prompt",
        400,
        {
            "error": {
                "message": "Invalid prompt: your prompt was flagged as potentially violating "
                "our usage policy.",
                "code": "invalid_prompt",
            }
        },
        REFUSED,
    ),
    (
        "alibaba-filter",
        400,
        {
            "error": {
                "message": "Output data may contain inappropriate content.",
                "code": "data_inspection_failed",
            }
        },
        REFUSED,
    ),
    ("alibaba-filter-2", 400, {"code": "DataInspectionFailed", "message": "no"}, REFUSED),
    (
        "deepseek-filter",
        400,
        {"error": {"message": "Content Exists Risk", "type": "invalid_request_error"}},
        REFUSED,
    ),
    (
        "moonshot-filter",
        400,
        {
            "error": {
                "message": "The request was rejected because it was considered high risk",
                "type": "content_filter",
            }
        },
        REFUSED,
    ),
    ("anthropic-filter", 400, {"error": {"message": "Output blocked by content filtering policy"}}, REFUSED),
    (
        "xai-filter",
        403,
        {"code": "x", "error": "Content violates usage guidelines. SAFETY_CHECK_TYPE_BIO"},
        REFUSED,
    ),
    (
        "openrouter-filter",
        403,
        {"error": {"message": "This model requires moderation. Your input was flagged for x"}},
        REFUSED,
    ),
    ("zai-filter", 400, {"error": {"code": "1301", "message": "The content may be unsafe"}}, REFUSED),
]

INVALID_CALLS: list[tuple[str, int, Any, tuple[str, bool]]] = [
    (
        "groq-tool",
        400,
        {
            "error": {
                "message": "Failed to call a function. Please adjust your prompt.",
                "code": "tool_use_failed",
                "failed_generation": "<function=sh>",
            }
        },
        AGAIN,
    ),
    (
        "groq-parse",
        400,
        {
            "error": {
                "message": "Parsing failed. The model generated output that could not be parsed.",
                "code": "output_parse_failed",
            }
        },
        AGAIN,
    ),
    (
        "groq-validation",
        400,
        {
            "error": {
                "message": "Tool call validation failed: attempted to call tool 'x' which "
                "was not in request.tools"
            }
        },
        AGAIN,
    ),
    (
        "vllm-harmony",
        400,
        {"error": {"message": "Unexpected token 12606 while expecting start token 200006", "code": 400}},
        AGAIN,
    ),
    ("bedrock-tool", 424, {"message": "Model produced invalid sequence as part of ToolUse."}, AGAIN),
]
