"""The rate limits of API keys."""

from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection

from agent_runtime.server.auth import ApiKey, Gate
from agent_runtime.server.errors import ApiError


def connection(key: str) -> HTTPConnection:
    return HTTPConnection({"type": "http", "headers": [(b"x-api-key", key.encode())]})


def test_a_key_has_as_many_requests_a_minute_as_its_tier_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("agent_runtime.server.auth.time.monotonic", lambda: now)
    gate = Gate([ApiKey.parse("one:free"), ApiKey.parse("two")], frozenset())
    remaining = [gate.admit(connection("one"))["X-RateLimit-Remaining"] for _ in range(60)]
    assert remaining == [str(number) for number in range(59, -1, -1)]
    now += 59
    for _ in range(2):
        with pytest.raises(ApiError) as refused:
            gate.admit(connection("one"))
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "1")
        assert refused.value.headers["X-RateLimit-Remaining"] == "0"
    assert gate.admit(connection("two"))["X-RateLimit-Remaining"] == "999"
    now += 1
    assert gate.admit(connection("one"))["X-RateLimit-Remaining"] == "59"
