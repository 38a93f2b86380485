"""The rate limits of API keys."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from starlette.requests import HTTPConnection

from agent_runtime.server.auth import ApiKey, Gate
from agent_runtime.server.errors import ApiError
from agent_runtime.server.request_counts import RequestCounts
from tests.server.conftest import Serve


def connection(key: str) -> HTTPConnection:
    return HTTPConnection({"type": "http", "headers": [(b"x-api-key", key.encode())]})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that requests are counted at, in a list of one."""
    now = [1_000_000.0]
    for module in ("auth", "request_counts"):
        monkeypatch.setattr(f"agent_runtime.server.{module}.time.time", lambda: now[0])
    return now


@pytest.mark.anyio
async def test_a_key_has_as_many_requests_a_minute_as_its_tier_allows(
    clock: list[float], tmp_path: Path
) -> None:
    keys = [ApiKey.parse("one:free"), ApiKey.parse("two")]
    gate = Gate(keys, frozenset(), RequestCounts(tmp_path / "limits.sqlite3"))

    async def remaining(key: str) -> int:
        return int((await gate.admit(connection(key)))["X-RateLimit-Remaining"])

    assert [await remaining("one") for _ in range(60)] == list(range(59, -1, -1))
    clock[0] += 58.6
    with pytest.raises(ApiError) as refused:
        await remaining("one")
    assert refused.value.headers["Retry-After"] == "2"  # one second would be too early
    clock[0] += 0.4
    for _ in range(2):
        with pytest.raises(ApiError) as refused:
            await remaining("one")
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "1")
        assert refused.value.headers["X-RateLimit-Remaining"] == "0"
    assert await remaining("two") == 999
    clock[0] += 1
    assert await remaining("one") == 59
    gate.counts.close()


def test_servers_of_one_state_directory_count_together(clock: list[float], tmp_path: Path) -> None:
    servers = [RequestCounts(tmp_path / "limits.sqlite3") for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        windows = list(threads.map(lambda n: servers[n % 4].add("sk-of-a-caller", 60), range(100)))
    counts = sorted(window.count for window in windows)
    assert counts == [*range(1, 61), *[61] * 40]
    assert {window.started for window in windows} == {clock[0]}
    for server in servers:
        server.close()
    restarted = RequestCounts(tmp_path / "limits.sqlite3")
    assert restarted.add("sk-of-a-caller", 60).count == 61
    assert not [path.name for path in tmp_path.iterdir() if b"sk-of-a-caller" in path.read_bytes()]
    restarted.close()


@pytest.mark.parametrize(
    ("step", "count"), [(59.9, 2), (60, 1), (1e6, 1), (-0.5, 2), (-5, 1), (-1e6, 1), (0, 2)]
)
def test_a_minute_ends_also_when_the_clock_is_set_back(
    clock: list[float], tmp_path: Path, step: float, count: int
) -> None:
    counts = RequestCounts(tmp_path / "limits.sqlite3")
    counts.add("key", 60)
    clock[0] += step
    assert counts.add("key", 60).count == count
    counts.close()


def test_a_server_whose_database_cannot_be_used_counts_by_itself(tmp_path: Path) -> None:
    for name, content in (("damaged", b"no database" * 1000), ("folder", None)):
        path = tmp_path / name
        path.write_bytes(content) if content else path.mkdir()
        counts = RequestCounts(path)
        assert [counts.add("key", 2).count for _ in range(4)] == [1, 2, 3, 3]
        counts.close()


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
