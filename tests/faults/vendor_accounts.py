"""What vendors answer about keys, models, budgets and rates, in their own words."""

from __future__ import annotations

from typing import Any

from tests.faults.vendor_codes import FULL, KEY, MODEL, QUOTA

GEMINI = "You exceeded your current quota, please check your plan and billing details."

# name, status, body, meaning
ACCOUNTS: list[tuple[str, int, Any, tuple[str, bool]]] = [
    ("openai", 429, {"error": {"message": GEMINI, "code": "insufficient_quota"}}, QUOTA),
    ("anthropic-credit", 400, {"error": {"message": "Your credit balance is too low to access it"}}, QUOTA),
    (
        "anthropic-limit",
        400,
        {"error": {"message": "You have reached your specified API usage limits. You will regain access on"}},
        QUOTA,
    ),
    (
        "anthropic-spend",
        429,
        {
            "error": {
                "type": "rate_limit_error",
                "message": "would exceed your organization's monthly spend limit",
            }
        },
        QUOTA,
    ),
    ("gemini", 429, [{"error": {"message": GEMINI, "status": "RESOURCE_EXHAUSTED"}}], QUOTA),
    ("gemini-minute", 429, [{"error": {"message": f"{GEMINI} Please retry in 34.07s."}}], FULL),
    (
        "xai",
        403,
        {
            "code": "no permission",
            "error": "Your team has either used all available credits or reached its limit",
        },
        QUOTA,
    ),
    ("deepseek", 402, {"error": {"message": "Insufficient Balance", "type": "unknown_error"}}, QUOTA),
    ("together", 429, {"error": {"message": "Credit limit exceeded, please navigate to billing"}}, QUOTA),
    (
        "qwen",
        429,
        {"error": {"message": "Free allocated quota exceeded.", "code": "AllocationQuota.X"}},
        QUOTA,
    ),
    ("mistral", 429, {"message": "Requests rate limit exceeded"}, FULL),
    ("gemini-key", 400, [{"error": {"message": "API key not valid. Please pass a valid API key."}}], KEY),
    ("xai-key", 400, {"code": "x", "error": "Incorrect API key provided: xx."}, KEY),
    ("forbidden-key", 403, {"error": {"message": "Invalid API key", "code": "invalid_api_key"}}, KEY),
    ("openrouter-model", 400, {"error": {"message": "gpt-9 is not a valid model ID", "code": 400}}, MODEL),
    (
        "deepseek-model",
        400,
        {"error": {"message": "Model Not Exist", "code": "invalid_request_error"}},
        MODEL,
    ),
    ("mistral-model", 400, {"message": "Invalid model: foo", "type": "invalid_model"}, MODEL),
    ("openai-model", 403, {"error": {"message": "no access", "code": "model_not_found"}}, MODEL),
    ("redirect", 302, {"error": {"message": "elsewhere"}}, ("provider_error", False)),
    (
        "litellm-budget",
        400,
        {
            "error": {
                "message": "Budget has been exceeded! Current cost: 2.0, Max budget: 1.0",
                "type": "budget_exceeded",
                "code": "400",
            }
        },
        QUOTA,
    ),
    (
        "litellm-budget-429",
        429,
        {"error": {"message": "ExceededBudget: User=x over budget.", "code": "429"}},
        QUOTA,
    ),
    (
        "openrouter-credits",
        402,
        {"error": {"message": "This request requires more credits", "code": 402}},
        QUOTA,
    ),
    ("openrouter-key", 403, {"error": {"message": "Key limit exceeded (total limit)", "code": 403}}, QUOTA),
    (
        "moonshot-quota",
        429,
        {"error": {"type": "exceeded_current_quota_error", "message": "is suspended"}},
        QUOTA,
    ),
    ("alibaba-arrears", 400, {"error": {"code": "Arrearage", "message": "Access denied"}}, QUOTA),
    ("one-api", 403, {"error": {"code": "insufficient_user_quota", "message": "x"}}, QUOTA),
    (
        "zai-arrears",
        429,
        {"error": {"code": "1113", "message": "Insufficient balance or no resource package."}},
        QUOTA,
    ),
    ("zai-rate", 429, {"error": {"code": "1302", "message": "High concurrency usage of this API"}}, FULL),
    (
        "rate",
        429,
        {
            "error": {
                "message": "Rate limit reached on tokens per min (TPM): Limit 30000, Used 29000, "
                "Requested 2000. Please try again in 2s."
            }
        },
        FULL,
    ),
    ("bedrock-throttled", 429, {"__type": "com.amazon.coral#ThrottlingException", "message": "slow"}, FULL),
]
