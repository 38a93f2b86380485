"""What an error of a provider means, by its status and its words."""

from __future__ import annotations

from typing import Any

import pytest

from agent_runtime.providers.errors import map_error, retry_after

NOW = 1_800_000_000.0


def body(message: str = "words", code: str = "") -> dict[str, Any]:
    return {"type": "error", "error": {"type": code, "message": message}}


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (400, "provider_error", False),
        (401, "authentication_error", False),
        (402, "insufficient_quota", False),
        (403, "permission_denied", False),
        (404, "model_not_found", False),
        (408, "provider_timeout", True),
        (409, "provider_error", True),
        (413, "context_overflow", False),
        (422, "provider_error", False),
        (429, "rate_limited", True),
        (451, "provider_error", False),
        (500, "provider_error", True),
        (501, "provider_error", False),
        (502, "provider_error", True),
        (503, "overloaded", True),
        (504, "provider_timeout", True),
        (529, "overloaded", True),
    ],
)
def test_status_codes_are_mapped(status: int, code: str, retryable: bool) -> None:
    error = map_error(body(), status=status)
    assert (error.code, error.retryable, error.status, error.message) == (code, retryable, status, "words")


@pytest.mark.parametrize(
    ("status", "message", "kind", "code"),
    [
        (
            400,
            "prompt is too long: 210000 tokens > 200000 maximum",
            "invalid_request_error",
            "context_overflow",
        ),
        (400, "input length and `max_tokens` exceed context limit: 190000 + 64000", "", "context_overflow"),
        (400, "This model's maximum context length is 128000 tokens", "", "context_overflow"),
        (
            400,
            "Your input exceeds the context window of this model",
            "context_length_exceeded",
            "context_overflow",
        ),
        (
            400,
            "The input token count (1) exceeds the maximum number of tokens allowed",
            "",
            "context_overflow",
        ),
        (
            500,
            "the request exceeds the available context size",
            "exceed_context_size_error",
            "context_overflow",
        ),
        (
            429,
            "Request too large for gpt-4o: tokens per min, reduce the length of it",
            "",
            "context_overflow",
        ),
        (
            404,
            "Item with id 'rs_68' not found. Items are not persisted when `store` is set to false.",
            "invalid_request_error",
            "provider_error",
        ),
        (400, "Your credit balance is too low to access the API", "", "insufficient_quota"),
        (
            429,
            "You exceeded your current quota, please check your plan and billing details",
            "",
            "insufficient_quota",
        ),
        (429, "words", "insufficient_quota", "insufficient_quota"),
        (429, "Rate limit reached. Add a payment method at https://x/account/billing", "", "rate_limited"),
        (403, "words", "billing_error", "insufficient_quota"),
        (400, "max_tokens: 100000 > 64000, the maximum", "invalid_request_error", "provider_error"),
        (500, "words", "overloaded_error", "overloaded"),
        (None, "words", "overloaded_error", "overloaded"),
        (None, "words", "rate_limit_exceeded", "rate_limited"),
        (None, "words", "unheard_of", "provider_error"),
    ],
)
def test_messages_and_types_take_precedence_over_the_status(
    status: int | None, message: str, kind: str, code: str
) -> None:
    error = map_error(body(message, kind), status=status)
    assert (error.code, error.message) == (code, message)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"error": {"message": "nested"}}, "nested"),
        ({"message": "flat", "code": "x"}, "flat"),
        ({"error": "a string"}, "a string"),
        ({"detail": "fastapi"}, "fastapi"),
        ([{"error": {"message": "in a list", "status": "UNAVAILABLE"}}], "in a list"),
        ({"error": {"message": "outer", "metadata": {"raw": "inner"}}}, "outer: inner"),
        ("<html><body>Bad\n gateway</body></html>", "Bad gateway"),
        (None, "fallback"),
        ("", "fallback"),
        ({"error": None}, "fallback"),
    ],
)
def test_the_providers_message_is_kept(raw: object, message: str) -> None:
    assert map_error(raw, status=500, fallback="fallback").message == message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:09 GMT"}, 9.0),
        ({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


def test_a_wait_given_only_in_the_message_is_read() -> None:
    error = map_error({"code": "rate_limit_exceeded", "message": "Please try again in 1.25s."})
    assert (error.code, error.retry_after) == ("rate_limited", 1.25)


def test_a_wait_in_the_message_counts_for_rate_limits_only() -> None:
    error = map_error({"error": {"message": "Overloaded. Please retry in 34.07s."}}, status=503)
    assert (error.code, error.retry_after) == ("overloaded", None)
    error = map_error({"message": "Please retry in 34s."}, status=429, headers={"retry-after": "2"})
    assert error.retry_after == 2


def test_an_error_inside_a_list_is_read() -> None:
    error = map_error([{"error": {"code": 404, "message": "no such model", "type": "NOT_FOUND"}}])
    assert (error.code, error.message) == ("model_not_found", "no such model")


def test_a_provider_can_forbid_a_retry() -> None:
    assert map_error(body(), status=500, headers={"x-should-retry": "false"}).retryable is False
