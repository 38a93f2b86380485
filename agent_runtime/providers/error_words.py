"""Messages, codes and numbers of providers' errors. Data only; `errors` uses it.

Collected in November 2026 from the providers' error references and from reports of their users. The name before a line
says who uses its words; many gateways repeat the words of the provider behind them.
"""

from __future__ import annotations

import re

from agent_runtime.errors import ErrorCode
from agent_runtime.lazy import lazy_pattern

Meaning = tuple[ErrorCode, bool]  # the code, and whether the call may be tried again

OVERFLOW: Meaning = ("context_overflow", False)
QUOTA: Meaning = ("insufficient_quota", False)
REFUSAL: Meaning = ("refusal", False)
KEY: Meaning = ("authentication_error", False)
NO_MODEL: Meaning = ("model_not_found", False)
RATE: Meaning = ("rate_limited", True)
OVERLOADED: Meaning = ("overloaded", True)
TIMEOUT: Meaning = ("provider_timeout", True)
FINAL: Meaning = ("provider_error", False)
PASSING: Meaning = ("provider_error", True)


def _any(*patterns: str) -> re.Pattern[str]:
    return lazy_pattern("|".join(patterns), re.I | re.S)


OVERFLOW_WORDS = _any(
    # OpenAI, Azure, DeepSeek, vLLM, OpenRouter, LiteLLM, NVIDIA, Cerebras, Fireworks
    r"context[_ ](?:length|window|size)|maximum context|context limit exceeded",
    r"reduce the length of|string_above_max_length|input tokens exceed the configured limit|too many (?:input )?tokens",
    # Anthropic, Bedrock, Fireworks, AI21, Ollama
    r"(?:prompt|input|request|conversation|context) (?:is )?too (?:long|large)(?! for\b.{0,80}\bper min)",
    r"exceed context limit|request_too_large|request size exceeds model context",
    # Gemini, Vertex, GitHub Copilot
    r"token count .{0,60}exceeds|token count is \d+ but .{0,20}model only supports",
    # xAI
    r"maximum prompt length",
    # Moonshot, MiniMax, Z.ai, Alibaba, Volcengine, Hunyuan, Baichuan
    r"exceeded model token limit|context window exceeds limit|prompt exceeds max length|tokens num exceed",
    r"range of input length should be|exceed max message tokens|input length.{0,40}exceed",
    r"prompt.{0,4}超长|长度超[限过出]|超[过出].{0,12}(?:最大长度|上下文|长度限制)",
    # Hugging Face TGI, Together
    r"inputs[`'\"]? tokens \+ [`'\"]?max_new_tokens|inputs[`'\"]? must have less than \d+ tokens",
    # Together, SGLang, vLLM, TabbyAPI, LM Studio, Ollama, llama.cpp
    r"(?:longer|greater|larger) than (?:the )?(?:model'?s? )?(?:max(?:imum)? )?(?:allowed )?"
    r"(?:context|model length|max_seq_len|max_model_len|n_ctx)",
    r"exceeds? (?:the )?(?:available |configured |model'?s? )?(?:max(?:imum)? )?(?:allowed )?(?:context|max_seq_len|"
    r"max_model_len|n_ctx|input length|model length)",
    r"exceeds the maximum allowed length|configured context size is|context size has been exceeded",
    r"exceeded (?:the )?(?:max(?:imum)? )?(?:context|input token)|exceed_context_size|context shift is disabled",
    r"exceeds? the (?:maximum|max|model'?s).{0,40}tokens?|token limit exceeded",
    # Mistral
    r"too large for model with \d+",
    # Cohere, watsonx, Cloudflare, GitHub Models
    r"size limit exceeded by \d+ tokens|tokens (?:in the prompt )?(?:\d+ )?cannot exceed",
    r"exceeded this model context|max size: \d+ tokens",
    # LiteLLM, and servers that name what is too long in words of their own
    r"context_?(?:window|length)_?exceeded|reduce (?:your|the) (?:prompt|input)\b|number of tokens is below \d+",
    r"(?:prompt|input|sequence|context) (?:length|size|tokens?).{0,40}(?:too (?:long|large)|exceeds|"
    r"(?:longer|greater|larger) than)",
    r"tokens in (?:the |your )?(?:prompt|request|input|messages).{0,30}(?:exceed|(?:more|greater|larger) than)",
    r"exceed\w* (?:the )?max(?:imum)?(?: number of tokens|_(?:total|prompt|input)_tokens)",
    r"max_(?:total|prompt|input)_tokens exceeded",
)

QUOTA_WORDS = _any(
    r"insufficient_quota|insufficient[_ ](?:user_quota|(?:account )?balance|credits?|funds)",
    r"not enough (?:credits?|balance)",
    r"exceeded[_ ](?:your[_ ])?current[_ ]quota|billing_error|billing_hard_limit|billing details|check your billing",
    r"credit balance|out of credits|credit limit exceeded|requires more credits|monthly included credits",
    r"used all (?:of )?(?:your )?available credits|spend(?:ing)? (?:limit|cap)|specified API usage limits",
    r"payment required|quota_exceeded|free .{0,20}quota exceeded|AllocationQuota|hard limit|pre_consume_token_quota",
    r"usage_limit_reached|(?:monthly|weekly|daily|plan).{0,20}usage limit|daily free allocation",
    # LiteLLM, and gateways with budgets for keys
    r"budget_exceeded|budget has been exceeded|exceeded_?budget|over (?:the |its |your )?budget|key limit exceeded",
    # Alibaba, Z.ai and others
    r"arrearage|account is in good standing|no resource package|余额不足|欠费|额度不足|额度已用",
)

REFUSAL_WORDS = _any(
    # Azure, OpenAI, LiteLLM
    r"\bcontent_filter\b|content management policy|ResponsibleAIPolicy|content_?policy_?violation|invalid_prompt",
    r"flagged as potentially violating|violat\w+ .{0,40}usage (?:policy|policies|guidelines)",
    # Anthropic, xAI, OpenRouter, Vertex, Bedrock
    r"blocked by (?:our |the )?(?:content|safety|guardrail)|requires moderation|flagged (?:by|for) .{0,20}moderation",
    r"responsible AI practices|prohibited[_ ]content|SAFETY_CHECK_TYPE|guardrail[_ ]intervened|bio_policy|cyber_policy",
    r"misalignment_policy_violation",
    # Alibaba, DeepSeek, Moonshot, Z.ai, MiniMax
    r"data_?inspection_?failed|inappropriate content|content exists risk|considered high risk",
    r"unsafe or sensitive content|sensitive (?:words|content)|敏感|违规|不安全",
)

# what the model wrote cannot be read as a call: Groq, Bedrock, llama.cpp; another attempt may be right
BAD_OUTPUT_WORDS = _any(
    r"tool_use_failed|output_parse_failed|json_validate_failed|malformed_(?:function|tool)_call|invalid_tool_call",
    r"tool_call_parse|failed to call a function|tool call validation failed|invalid sequence as part of ToolUse",
    r"model generated output that could not be parsed|failed to parse (?:the )?(?:model|tool call)",
    # vLLM, SGLang and Ollama with gpt-oss
    r"expecting start token|unexpected tokens remaining in message header|error parsing tool call",
)

KEY_WORDS = _any(
    r"(?:invalid|incorrect|expired|unknown) api[- _]key|api[- _]key (?:is )?(?:not valid|invalid|expired)",
    r"api_key_invalid|invalid x-api-key|(?:no|missing) api[- _]key",
    # AWS
    r"UnrecognizedClient|InvalidClientTokenId|ExpiredToken|MissingAuthenticationToken|InvalidSignature|"
    r"IncompleteSignature|SignatureDoesNotMatch|security token included in the request",
)

NO_MODEL_WORDS = _any(
    r"model:? [`'\"]?[\w./:-]+[`'\"]? (?:does not exist|not found|has been (?:deprecated|retired|decommissioned))",
    r"model not exist|not a valid model|(?:invalid|unknown|no such) model\b",
    r"model_not_found|invalid_model|model_decommissioned|DeploymentNotFound",
)

# Responses: an item that was sent back is looked up, and is not stored there
LOST_ITEM_WORDS = _any(r"item (?:with id )?.{0,120}not found")

# one request that is larger than what may be sent in a minute can never succeed: OpenAI, Groq
OVER_RATE_WORDS = _any(
    r"request too large for .{0,200}\btokens? per (?:min|day)", r"\btokens? per min.{0,200}must be reduced"
)

# words that say more than the status they come with (None: inside a stream), first match first
BY_WORDS: tuple[tuple[re.Pattern[str], frozenset[int | None], Meaning], ...] = (
    (OVER_RATE_WORDS, frozenset({None, 413, 429}), OVERFLOW),
    (QUOTA_WORDS, frozenset({None, 400, 401, 402, 403, 429, 500}), QUOTA),
    (BAD_OUTPUT_WORDS, frozenset({None, 400, 422, 424, 500}), PASSING),
    (OVERFLOW_WORDS, frozenset({None, 400, 413, 422, 500}), OVERFLOW),
    (REFUSAL_WORDS, frozenset({None, 400, 403, 422, 451, 500}), REFUSAL),
    (LOST_ITEM_WORDS, frozenset({404}), FINAL),
    (KEY_WORDS, frozenset({None, 400, 403}), KEY),
    (NO_MODEL_WORDS, frozenset({None, 400, 403, 422}), NO_MODEL),
)

BY_STATUS: dict[int, Meaning] = {
    401: KEY,
    402: QUOTA,
    403: ("permission_denied", False),
    404: NO_MODEL,
    408: TIMEOUT,
    409: PASSING,
    413: OVERFLOW,
    425: PASSING,
    429: RATE,
    498: OVERLOADED,
    501: FINAL,
    503: OVERLOADED,
    504: TIMEOUT,
    505: FINAL,
    511: FINAL,
    529: OVERLOADED,
}

# the providers' own types and codes, in lower case; inside a stream there is no status
BY_KIND: dict[str, Meaning] = {
    "authentication_error": KEY,
    "invalid_api_key": KEY,
    "unauthenticated": KEY,
    "unrecognizedclientexception": KEY,
    "permission_error": ("permission_denied", False),
    "permission_denied": ("permission_denied", False),
    "accessdeniedexception": ("permission_denied", False),
    "not_found_error": NO_MODEL,
    "model_not_found": NO_MODEL,
    "model_not_available": NO_MODEL,
    "resourcenotfoundexception": NO_MODEL,
    "rate_limit_error": RATE,
    "rate_limit_exceeded": RATE,
    "rate_limit_reached_error": RATE,
    "too_many_requests": RATE,
    "limit_requests": RATE,
    "resource_exhausted": RATE,
    "throttlingexception": RATE,
    "throttling": RATE,
    "overloaded_error": OVERLOADED,
    "server_is_overloaded": OVERLOADED,
    "slow_down": OVERLOADED,
    "overloaded": OVERLOADED,
    "engine_overloaded_error": OVERLOADED,
    "engine_overloaded": OVERLOADED,
    "unavailable": OVERLOADED,
    "service_unavailable": OVERLOADED,
    "serviceunavailableexception": OVERLOADED,
    "modelnotreadyexception": OVERLOADED,
    "insufficient_system_resource": OVERLOADED,
    "timeout": TIMEOUT,
    "timeout_error": TIMEOUT,
    "deadline_exceeded": TIMEOUT,
    "modeltimeoutexception": TIMEOUT,
    "api_error": PASSING,
    "server_error": PASSING,
    "internal_error": PASSING,
    "internal_server_error": PASSING,
    "internalserverexception": PASSING,
    "modelstreamerrorexception": PASSING,
    "network_error": PASSING,
    "vector_store_timeout": PASSING,
    "request_too_large": OVERFLOW,
    "context_length_exceeded": OVERFLOW,
    "exceed_context_size_error": OVERFLOW,
    "billing_error": QUOTA,
    "insufficient_quota": QUOTA,
    "invalid_request_error": FINAL,
    # Z.ai
    "1113": QUOTA,
    "1211": NO_MODEL,
    "1261": OVERFLOW,
    "1301": REFUSAL,
    "1302": RATE,
    "1303": RATE,
    "1305": RATE,
    "1308": QUOTA,
    "1309": QUOTA,
    "1310": QUOTA,
    "1312": OVERLOADED,
}

# MiniMax: `base_resp.status_code`
BY_BASE_RESP: dict[int, Meaning] = {
    1001: TIMEOUT,
    1002: RATE,
    1004: KEY,
    1008: QUOTA,
    1026: REFUSAL,
    1027: REFUSAL,
    1039: OVERFLOW,
    1041: RATE,
    2013: FINAL,
    2049: KEY,
    2056: QUOTA,
}
