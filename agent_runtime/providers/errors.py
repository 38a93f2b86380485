"""Maps errors of providers to ProviderError: errors by status, and errors inside a stream."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from agent_runtime.errors import ProviderError
from agent_runtime.lazy import lazy_pattern
from agent_runtime.protocol.text import truncate_middle
from agent_runtime.providers.error_words import (
    BY_BASE_RESP,
    BY_KIND,
    BY_STATUS,
    BY_WORDS,
    OVERFLOW,
    PASSING,
    QUOTA,
    RATE,
    Meaning,
)

# a delay in a provider's words: 34.07s, 250 ms, 1 second, 14m24.5s, 2h3m
_AGAIN = lazy_pattern(
    r"(?:try again|retry) (?:in|after) (?:(\d+)h)?(?:(\d+)m(?!s|illi))?(?:(\d+(?:\.\d+)?) ?(ms|milli|s\b|sec))?",
    re.I,
)
_NUMBER = lazy_pattern(r"\s*[0-9]{1,15}(\.[0-9]+)?\s*")
# how many tokens may be sent in a minute, and how many this request has
_LIMIT_AND_REQUESTED = lazy_pattern(r"\blimit:? ?([\d,]+).{0,80}?\brequested:? ?([\d,]+)", re.I | re.S)
_MAX_MESSAGE = 2000  # bytes of a provider's message that are kept


def map_error(
    body: object,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    request_id: str | None = None,
    fallback: str = "",
    now: float | None = None,
) -> ProviderError:
    """Return the error for a provider's response.

    Args:
        body: the error as it came: an object (with or without an `error` inside), or text.
        status: of the HTTP response, None for an error inside a stream: there a number in the body counts as one.
        headers: of the HTTP response, names in lower case.
        request_id: the provider's id of the request.
        fallback: the message for a body without one.
        now: Unix time, to read an HTTP date.
    """
    headers = headers or {}
    if status is None:
        status = _inner_status(body)
    kinds, message = _read(body)
    if aws := headers.get("x-amzn-errortype"):  # ThrottlingException:http://internal.amazon.com/coral/...
        kinds.insert(0, aws.partition(":")[0].lower())
    message = message or fallback or f"the provider answered with status {status}"
    code, retryable = _base_resp(body) or _classify(kinds, message, status)
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
        truncate_middle(message, _MAX_MESSAGE),
        retryable=retryable,
        retry_after=asked,
        status=status,
        request_id=request_id or _inner_id(body),
        details=details,
    )


def cut(what: str) -> ProviderError:
    """The error for a stream that ended before the turn, or is not of its format: the call may be tried again."""
    return ProviderError("provider_error", what, retryable=True)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds that the provider asks to wait: retry-after-ms, or Retry-After in seconds or as an HTTP date."""
    try:
        if _NUMBER.fullmatch(milliseconds := headers.get("retry-after-ms", "")):
            return float(milliseconds) / 1000
        asked = headers.get("retry-after")
        if not asked:
            return None
        if _NUMBER.fullmatch(asked):
            return float(asked)
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 -- ten modules, for a rare header

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


def _classify(kinds: list[str], message: str, status: int | None) -> Meaning:
    by_kind = next((BY_KIND[kind] for kind in kinds if kind in BY_KIND), None)
    if _exceeds_rate(message):
        return OVERFLOW
    if by_words := _by_words(" ".join([*kinds, message]), status):
        if by_words == QUOTA != by_kind and _asked_in_words(message) is not None:
            # Gemini uses the same words for a limit per minute, and adds how long to wait
            return RATE
        return by_words
    if status is None or status < 300:
        return by_kind or PASSING
    if status in BY_STATUS:
        # a type is more specific than its status, as long as both agree whether the provider or the request is at fault
        if by_kind and status not in (401, 402, 403) and by_kind[0] != "provider_error":
            return by_kind
        return BY_STATUS[status]
    if by_kind and by_kind[0] != "provider_error":
        return by_kind
    return "provider_error", status >= 500


def _by_words(words: str, status: int | None) -> Meaning | None:
    found = (
        meaning for pattern, statuses, meaning in BY_WORDS if status in statuses and pattern.search(words)
    )
    return next(found, None)


def _exceeds_rate(message: str) -> bool:
    """Return whether this single request exceeds the limit of a minute or a day, so that waiting cannot help."""
    found = _LIMIT_AND_REQUESTED.search(message)
    if found is None or "token" not in message.lower():
        return False
    limit, requested = (int(number.replace(",", "") or 0) for number in found.groups())
    return requested > limit > 0


def _error_object(body: object) -> dict[str, Any]:
    """The object that describes the error: inside `error`, or the body itself."""
    if isinstance(body, list) and body:  # Gemini wraps its errors in a list
        body = body[0]
    if not isinstance(body, dict):
        return {}
    error = body.get("error")
    return error if isinstance(error, dict) else body


def _inner_status(body: object) -> int | None:
    """The HTTP status that an error inside a stream gives as a number, or as the digits of one."""
    error = _error_object(body)
    for name in ("code", "status", "status_code", "statusCode", "http_code"):
        value = error.get(name)
        if isinstance(value, str) and re.fullmatch(r"[1-5]\d\d", value):
            value = int(value)
        if isinstance(value, int | float) and 300 <= value <= 599:
            return int(value)
    return None


def _base_resp(body: object) -> Meaning | None:
    """Return the error that MiniMax reports with a status of success."""
    inner = body.get("base_resp") if isinstance(body, dict) else None
    code = inner.get("status_code") if isinstance(inner, dict) else None
    return BY_BASE_RESP.get(code, PASSING) if isinstance(code, int) and code else None


def _read(body: object) -> tuple[list[str], str]:
    """The types and codes in an error body, the most specific first, and the provider's message."""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        text = re.sub(r"<[^>]*>|\s+", " ", body).strip() if isinstance(body, str) else ""
        return [], text
    error = body.get("error", body)
    if not isinstance(error, dict):
        return _kinds(body, "code", "type"), str(error or body.get("message") or "")
    kinds = [kind for kind in _kinds(error, "code", "type", "status", "__type") if kind != "error"]
    for inner in (error.get("innererror"), error.get("inner_error")):  # Azure
        kinds += _kinds(inner, "code") if isinstance(inner, dict) else []
    message = error.get("message") or error.get("detail") or body.get("message") or body.get("detail") or ""
    if isinstance(base := body.get("base_resp"), dict):
        message = message or base.get("status_msg") or ""
    metadata = error.get("metadata")
    if isinstance(metadata, dict) and metadata.get("raw"):  # OpenRouter: the error of the provider behind it
        message = f"{message}: {metadata['raw']}"
    return kinds, message if isinstance(message, str) else str(message)


def _param(body: object) -> str:
    """The parameter that an error body names."""
    param = _error_object(body).get("param")
    return param if isinstance(param, str) else ""


def _kinds(source: Mapping[str, Any], *names: str) -> list[str]:
    found = (source.get(name) for name in names)
    words = (str(word) for word in found if isinstance(word, str | int) and word and word is not True)
    return [word.rpartition("#")[2].lower() for word in words]


def _inner_id(body: object) -> str | None:
    id = body.get("request_id") if isinstance(body, dict) else None
    return id if isinstance(id, str) else None
