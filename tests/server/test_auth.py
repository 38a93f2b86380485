"""The rate limits of API keys."""

from __future__ import annotations

import asyncio

import httpx2
import pytest
from starlette.requests import HTTPConnection

from agent_runtime.server.auth import ApiKey, Gate
from agent_runtime.server.errors import ApiError
from tests.server.conftest import Serve


def connection(key: str) -> HTTPConnection:
    return HTTPConnection({"type": "http", "headers": [(b"x-api-key", key.encode())]})


def test_a_key_has_as_many_requests_a_minute_as_its_tier_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("agent_runtime.server.auth.time.monotonic", lambda: now)
    gate = Gate([ApiKey.parse("one:free"), ApiKey.parse("two")], frozenset())
    remaining = [gate.admit(connection("one"))["X-RateLimit-Remaining"] for _ in range(60)]
    assert remaining == [str(number) for number in range(59, -1, -1)]
    now += 58.6
    with pytest.raises(ApiError) as refused:
        gate.admit(connection("one"))
    assert refused.value.headers["Retry-After"] == "2"  # one second would be too early
    now += 0.4
    for _ in range(2):
        with pytest.raises(ApiError) as refused:
            gate.admit(connection("one"))
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "1")
        assert refused.value.headers["X-RateLimit-Remaining"] == "0"
    assert gate.admit(connection("two"))["X-RateLimit-Remaining"] == "999"
    now += 1
    assert gate.admit(connection("one"))["X-RateLimit-Remaining"] == "59"


def test_as_many_requests_pass_at_once_as_the_tier_allows(serve: Serve) -> None:
    served = serve([], "--api-key", "one:free", "--api-key", "two:free")

    async def statuses(key: str) -> list[tuple[int, int]]:
        headers, limits = {"x-api-key": key}, httpx2.Limits(max_connections=100)
        async with httpx2.AsyncClient(
            base_url=served.url, headers=headers, timeout=60, limits=limits
        ) as client:
            answers = await asyncio.gather(*(client.get("/v1/runs") for _ in range(300)))
        assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"60"}
        assert all(0 < int(answer.headers["x-ratelimit-reset"]) <= 60 for answer in answers)
        return [(answer.status_code, int(answer.headers["x-ratelimit-remaining"])) for answer in answers]

    async def main() -> list[list[tuple[int, int]]]:
        return list(await asyncio.gather(statuses("one"), statuses("two")))

    for found in asyncio.run(main()):
        passed = sorted((remaining for status, remaining in found if status == 200), reverse=True)
        assert passed == list(range(59, -1, -1))
        assert [each for each in found if each[0] != 200] == [(429, 0)] * 240
