"""What vendors answer when something is wrong, in their own words, and what it means."""

from __future__ import annotations

from typing import Any

QUOTA = ("insufficient_quota", False)
KEY = ("authentication_error", False)
MODEL = ("model_not_found", False)
FULL = ("rate_limited", True)
GEMINI = "You exceeded your current quota, please check your plan and billing details."

ANSWERS: list[tuple[str, int, Any, tuple[str, bool]]] = [
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
]

OVERFLOW = ("context_overflow", False)
REFUSED = ("refusal", False)
AGAIN = ("provider_error", True)
FINAL = ("provider_error", False)
TPM = "on tokens per minute (TPM): Limit 6000, Requested 8123"

# what a prompt that is too long is answered with
TOO_LONG: list[tuple[str, int, str]] = [
    ("openai", 400, "Your input exceeds the context window of this model. Please adjust your input."),
    (
        "azure",
        400,
        "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000",
    ),
    ("anthropic", 400, "prompt is too long: 213462 tokens > 200000 maximum"),
    ("litellm", 400, "litellm.ContextWindowExceededError: see the provider's message"),
    ("reduce", 400, "Please reduce your prompt; or completion length."),
    ("prompt-limit", 400, "Number of input tokens (9000) has exceeded max_prompt_tokens (8000) limit."),
    ("tokens-in-prompt", 400, "The number of tokens in the prompt (9000) exceeds the limit of 8192"),
    ("sequence", 400, "Sequence length 9000 is longer than the maximum sequence length 8192"),
    ("input-length", 400, "input length too long"),
    ("bedrock", 400, "Input is too long for requested model."),
    (
        "vertex",
        400,
        "Unable to submit request because the input token count is 40000 but model only supports up to 9",
    ),
    (
        "gemini",
        400,
        "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
    ),
    ("xai", 400, "This model's maximum prompt length is 131072 but the request contains 537812 tokens."),
    ("copilot", 400, "prompt token count of 135000 exceeds the limit of 128000"),
    ("moonshot", 400, "Invalid request: Your request exceeded model token limit: 8192 (requested: 21000)"),
    ("zai", 400, "Prompt exceeds max length"),
    ("zhipu", 400, "Prompt 超长"),
    ("alibaba", 400, "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]"),
    ("minimax", 400, "invalid params, context window exceeds limit (2013)"),
    ("volcengine", 400, "Total tokens of image and text exceed max message tokens. Request id: 0217"),
    (
        "together",
        422,
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000",
    ),
    ("together-2", 400, "The input (61709 tokens) is longer than the model's context length (40960 tokens)."),
    ("tgi", 422, "Input validation error: `inputs` must have less than 4095 tokens. Given: 6000"),
    ("tabby", 400, "Prompt length 40000 is greater than max_seq_len 32768"),
    ("vllm", 400, "This model's maximum context length is 32768 tokens. However, you requested 40000 tokens"),
    ("vllm-2", 400, "The decoder prompt (length 9000) is longer than the maximum model length of 8192."),
    ("sglang", 400, "Input length (160062 tokens) exceeds the maximum allowed length (59862 tokens)."),
    ("llama.cpp", 400, "the request exceeds the available context size, try increasing it"),
    ("llama.cpp-2", 500, "context shift is disabled"),
    ("ollama", 400, "prompt too long; exceeded max context length by 4 tokens"),
    (
        "lm-studio",
        400,
        "The number of tokens to keep from the initial prompt is greater than the context length",
    ),
    (
        "cohere",
        400,
        "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000",
    ),
    ("cohere-2", 400, "size limit exceeded by 11326 tokens. Try using shorter or fewer inputs"),
    ("mistral", 400, "Prompt contains 66385 tokens, too large for model with 32768 maximum context length"),
    (
        "watsonx",
        400,
        "the number of input tokens 5000 cannot exceed the total tokens limit 4096 for this model",
    ),
    (
        "cloudflare",
        413,
        "The estimated number of input and maximum output tokens exceeded this model context window",
    ),
    ("github", 413, "Request body too large for gpt-4o model. Max size: 8000 tokens."),
    ("fireworks", 400, "The prompt is too long: 9000, model maximum context length: 8192"),
    (
        "cerebras",
        400,
        "Please reduce the length of the messages or completion. Current length is 9 while limit is 8",
    ),
    (
        "groq-413",
        413,
        f"Request too large for model `llama` in group `x` {TPM}, please reduce your message size",
    ),
    (
        "openai-429",
        429,
        "Request too large for gpt-4o in organization x on tokens per min (TPM): Limit 30,000, "
        "Requested 36,190. The input or output tokens must be reduced in order to run successfully.",
    ),
    ("rate-that-cannot-be", 429, f"Rate limit reached for model `llama` {TPM}. Please try again in 22s."),
]

ANSWERS += [
    (f"too-long-{name}", status, {"error": {"message": words}}, OVERFLOW) for name, status, words in TOO_LONG
]
ANSWERS += [
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
    ("output-cap", 400, {"error": {"message": "max_tokens: 100000 > 64000, which is the maximum"}}, FINAL),
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
    ("bedrock-throttled", 429, {"__type": "com.amazon.coral#ThrottlingException", "message": "slow"}, FULL),
]

# errors in a stream that began with a status of success
IN_STREAM: list[tuple[Any, tuple[str, bool]]] = [
    *(
        ({"choices": [], "error": {"code": code, "message": "m"}}, expected)
        for number, expected in {
            400: FINAL,
            401: KEY,
            402: QUOTA,
            403: ("permission_denied", False),
            404: MODEL,
            408: ("provider_timeout", True),
            413: OVERFLOW,
            422: FINAL,
            429: FULL,
            500: AGAIN,
            502: AGAIN,
            503: ("overloaded", True),
            529: ("overloaded", True),
        }.items()
        for code in (number, str(number))
    ),
    ({"error": {"status": 402, "message": "m"}}, QUOTA),
    ({"error": {"code": 402.0, "message": "m"}}, QUOTA),
    ({"error": {"code": 400, "message": "prompt is too long"}}, OVERFLOW),
    ({"error": {"code": "1261", "message": "m"}}, OVERFLOW),
    ({"error": {"code": 1301, "message": "m"}}, REFUSED),
    ({"error": {"code": "content_filter", "message": "m"}}, REFUSED),
    ({"error": {"code": "budget_exceeded", "message": "m"}}, QUOTA),
    ({"error": {"code": "tool_use_failed", "message": "m"}}, AGAIN),
    ({"error": {"code": 200, "message": "m"}}, AGAIN),
    ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, QUOTA),
    ({"base_resp": {"status_code": 1027, "status_msg": "output new_sensitive"}}, REFUSED),
]
