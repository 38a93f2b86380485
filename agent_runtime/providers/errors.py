"""What a provider's error means for a run. One table for errors by status and for errors inside a stream.

The words come from the providers' error references: Anthropic (api/errors), OpenAI (guides/error-codes),
DeepSeek, xAI, Groq, OpenRouter, and what llama.cpp, vLLM and Gemini answer when a prompt is too long.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from agent_runtime.errors import ErrorCode, ProviderError
from agent_runtime.protocol.text import truncate_middle

_OVERFLOW = re.compile(
    r"context[_ ](length|window|size)|maximum context|prompt is too long|prompt too long|input is too long|"
    r"exceeds? the (maximum|max|model'?s) .{0,40}tokens?|token count .{0,60}exceeds|too many (input )?tokens|"
    r"reduce the length of|exceed context limit|maximum prompt length|request_too_large|"
    r"string_above_max_length",
    re.I,
)
_QUOTA = re.compile(
    r"insufficient_quota|insufficient[_ ]balance|insufficient[_ ]credits?|exceeded your current quota|"
    r"billing_error|billing_hard_limit|billing details|credit balance|out of credits|credit limit exceeded|"
    r"used all (of )?(your )?available credits|spend(ing)? (limit|cap)|specified API usage limits|"
    r"payment required|quota_exceeded|free .{0,20}quota exceeded|AllocationQuota|hard limit",
    re.I,
)
_KEY = re.compile(
    r"(invalid|incorrect|expired|unknown) api[- _]key|api[- _]key (is )?(not valid|invalid|expired)|api_key_invalid|"
    r"invalid x-api-key|(no|missing) api[- _]key",
    re.I,
)
_NO_MODEL = re.compile(
    r"model:? [`'\"]?[\w./:-]+[`'\"]? (does not exist|not found|has been (deprecated|retired|decommissioned))|"
    r"model not exist|not a valid model|(invalid|unknown|no such) model\b|"
    r"model_not_found|invalid_model|model_decommissioned|DeploymentNotFound",
    re.I,
)
# Responses, of what goes back to it
_LOST_ITEM = re.compile(r"item (with id )?.{0,120}not found", re.I | re.S)
# a wait in a provider's words: 34.07s, 250 ms, 1 second, 14m24.5s, 2h3m
_AGAIN = re.compile(
    r"(?:try again|retry) (?:in|after) (?:(\d+)h)?(?:(\d+)m(?!s|illi))?(?:(\d+(?:\.\d+)?) ?(ms|milli|s\b|sec))?",
    re.I,
)
_NUMBER = re.compile(r"\s*[0-9]{1,15}(\.[0-9]+)?\s*")
_MAX_WORDS = 2000  # bytes of a provider's message that are kept

_BY_STATUS: dict[int, tuple[ErrorCode, bool]] = {
    401: ("authentication_error", False),
    402: ("insufficient_quota", False),
    403: ("permission_denied", False),
    404: ("model_not_found", False),
    408: ("provider_timeout", True),
    409: ("provider_error", True),
    413: ("context_overflow", False),
    425: ("provider_error", True),
    429: ("rate_limited", True),
    498: ("overloaded", True),
    501: ("provider_error", False),
    511: ("provider_error", False),
    503: ("overloaded", True),
    504: ("provider_timeout", True),
    505: ("provider_error", False),
    529: ("overloaded", True),
}

# words that say more than the status they come with (None: inside a stream)
_BY_WORDS: tuple[tuple[re.Pattern[str], frozenset[int | None], tuple[ErrorCode, bool]], ...] = (
    (_QUOTA, frozenset({None, 400, 402, 403, 429}), ("insufficient_quota", False)),
    (_OVERFLOW, frozenset({None, 400, 413, 422, 500}), ("context_overflow", False)),
    (_LOST_ITEM, frozenset({404}), ("provider_error", False)),
    (_KEY, frozenset({400, 403}), ("authentication_error", False)),
    (_NO_MODEL, frozenset({400, 403, 422}), ("model_not_found", False)),
)

# the providers' own types and codes, which say more than the status (and inside a stream there is no status)
_BY_KIND: dict[str, tuple[ErrorCode, bool]] = {
    "authentication_error": ("authentication_error", False),
    "invalid_api_key": ("authentication_error", False),
    "unauthenticated": ("authentication_error", False),
    "permission_error": ("permission_denied", False),
    "permission_denied": ("permission_denied", False),
    "not_found_error": ("model_not_found", False),
    "model_not_found": ("model_not_found", False),
    "model_not_available": ("model_not_found", False),
    "rate_limit_error": ("rate_limited", True),
    "rate_limit_exceeded": ("rate_limited", True),
    "too_many_requests": ("rate_limited", True),
    "resource_exhausted": ("rate_limited", True),
    "throttlingexception": ("rate_limited", True),
    "overloaded_error": ("overloaded", True),
    "server_is_overloaded": ("overloaded", True),
    "slow_down": ("overloaded", True),
    "overloaded": ("overloaded", True),
    "engine_overloaded_error": ("overloaded", True),
    "engine_overloaded": ("overloaded", True),
    "unavailable": ("overloaded", True),
    "service_unavailable": ("overloaded", True),
    "insufficient_system_resource": ("overloaded", True),
    "timeout_error": ("provider_timeout", True),
    "deadline_exceeded": ("provider_timeout", True),
    "api_error": ("provider_error", True),
    "server_error": ("provider_error", True),
    "internal_server_error": ("provider_error", True),
    "network_error": ("provider_error", True),
    "vector_store_timeout": ("provider_error", True),
    "request_too_large": ("context_overflow", False),
    "context_length_exceeded": ("context_overflow", False),
    "exceed_context_size_error": ("context_overflow", False),
    "insufficient_quota": ("insufficient_quota", False),
    "billing_error": ("insufficient_quota", False),
    "billing_hard_limit_reached": ("insufficient_quota", False),
    "invalid_request_error": ("provider_error", False),
    "invalid_prompt": ("provider_error", False),
    "content_policy_violation": ("refusal", False),
    "bio_policy": ("refusal", False),
    "cyber_policy": ("refusal", False),
    "misalignment_policy_violation": ("refusal", False),
}


def map_error(
    body: object,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    request_id: str | None = None,
    fallback: str = "",
    now: float | None = None,
) -> ProviderError:
    """The error that a provider's answer stands for.

    Args:
        body: the error as it came: an object (with or without an `error` inside), or text.
        status: of the HTTP response, None for an error inside a stream.
        headers: of the HTTP response, names in lower case.
        request_id: the provider's id of the request.
        fallback: what to say when the body says nothing.
        now: Unix time, to read an HTTP date.
    """
    headers = headers or {}
    kinds, message = _read(body)
    message = message or fallback or f"the provider answered with status {status}"
    code, retryable = _classify(kinds, message, status)
    asked = retry_after(headers, time.time() if now is None else now)
    if asked is None and code == "rate_limited":
        asked = _asked_in_words(message)
    if headers.get("x-should-retry") == "false":
        retryable = False
    details = {"type": kinds[0]} if kinds else {}
    if param := _param(body):
        details["param"] = param
    return ProviderError(
        code,
        truncate_middle(message, _MAX_WORDS),
        retryable=retryable,
        retry_after=asked,
        status=status,
        request_id=request_id or _inner_id(body),
        details=details,
    )


def cut(what: str) -> ProviderError:
    """The stream is over before the turn is, or holds what is no part of its format: the call may be tried again."""
    return ProviderError("provider_error", what, retryable=True)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds the provider asked to wait: retry-after-ms, or Retry-After in seconds or as an HTTP date."""
    try:
        if _NUMBER.fullmatch(milliseconds := headers.get("retry-after-ms", "")):
            return float(milliseconds) / 1000
        asked = headers.get("retry-after")
        if not asked:
            return None
        if _NUMBER.fullmatch(asked):
            return float(asked)
        return max(0.0, parsedate_to_datetime(asked).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _asked_in_words(message: str) -> float | None:
    match = _AGAIN.search(message)
    if match is None or not any(match.groups()):
        return None
    hours, minutes, rest, unit = match.groups(default="0")
    seconds = float(rest) / (1000 if unit.lower() in ("ms", "milli") else 1)
    return int(hours) * 3600 + int(minutes) * 60 + seconds


def _classify(kinds: list[str], message: str, status: int | None) -> tuple[ErrorCode, bool]:
    by_kind = next((_BY_KIND[kind] for kind in kinds if kind in _BY_KIND), None)
    if by_words := _by_words(" ".join([*kinds, message]), status):
        if by_words == _BY_KIND["insufficient_quota"] != by_kind and _asked_in_words(message) is not None:
            # Gemini says the same of what is full for a minute, and then also how long
            return _BY_STATUS[429]
        return by_words
    if status is None or status < 300:
        return by_kind or ("provider_error", True)
    if status in _BY_STATUS:
        # a kind is finer than its status, as long as both agree that it is the provider's or our fault
        if by_kind and status not in (401, 402, 403) and by_kind[0] != "provider_error":
            return by_kind
        return _BY_STATUS[status]
    if by_kind and by_kind[0] != "provider_error":
        return by_kind
    return "provider_error", status >= 500


def _by_words(words: str, status: int | None) -> tuple[ErrorCode, bool] | None:
    found = (is_so for pattern, statuses, is_so in _BY_WORDS if status in statuses and pattern.search(words))
    return next(found, None)


def _read(body: object) -> tuple[list[str], str]:
    """The types and codes in an error body, most telling first, and the provider's words."""
    if isinstance(body, list) and body:  # Gemini wraps its errors in a list
        body = body[0]
    if not isinstance(body, dict):
        text = re.sub(r"<[^>]*>|\s+", " ", body).strip() if isinstance(body, str) else ""
        return [], text
    error = body.get("error", body)
    if not isinstance(error, dict):
        return _words(body, "code", "type"), str(error or body.get("message") or "")
    kinds = [kind for kind in _words(error, "code", "type", "status") if kind != "error"]
    message = error.get("message") or error.get("detail") or body.get("message") or body.get("detail") or ""
    metadata = error.get("metadata")
    if isinstance(metadata, dict) and metadata.get("raw"):  # OpenRouter: the words of the provider behind it
        message = f"{message}: {metadata['raw']}"
    return kinds, message if isinstance(message, str) else str(message)


def _param(body: object) -> str:
    """The parameter that an error body names."""
    error = body.get("error", body) if isinstance(body, dict) else None
    param = error.get("param") if isinstance(error, dict) else None
    return param if isinstance(param, str) else ""


def _words(source: Mapping[str, Any], *names: str) -> list[str]:
    found = (source.get(name) for name in names)
    return [word.lower() for word in found if isinstance(word, str) and word]


def _inner_id(body: object) -> str | None:
    id = body.get("request_id") if isinstance(body, dict) else None
    return id if isinstance(id, str) else None
