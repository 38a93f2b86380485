"""What model calls cost: the published prices, prices of one's own, and files of such prices that cannot be used."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent_runtime.errors import RequestError
from agent_runtime.protocol.messages import Usage
from agent_runtime.providers.prices import PriceTable, read_own_prices

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

# US dollars for a million tokens, from the price pages: input, output, read from the cache, written to it
PUBLISHED = [
    ("anthropic", "claude-opus-4-5", 5, 25, 0.5, 6.25),
    ("anthropic", "claude-sonnet-4-5-20250929", 3, 15, 0.3, 3.75),
    ("anthropic", "claude-haiku-4-5", 1, 5, 0.1, 1.25),
    ("openai", "gpt-5.2", 1.75, 14, 0.175, 1.75),
    ("openai-chat", "gpt-5-mini", 0.25, 2, 0.025, 0.25),
    ("openai", "gpt-4.1", 2, 8, 0.5, 2),
    ("openai", "gpt-4o", 2.5, 10, 1.25, 2.5),
    ("openai", "o3", 2, 8, 0.5, 2),
    ("google", "gemini-2.5-pro", 1.25, 10, 0.125, 1.25),
    ("xai", "grok-4", 3, 15, 0.75, 3),
    ("groq", "llama-3.3-70b-versatile", 0.59, 0.79, 0.59, 0.59),
    ("openrouter", "anthropic/claude-sonnet-4.5", 3, 15, 0.3, 3.75),
]


@pytest.mark.parametrize("provider, model, read_in, out, cached, written", PUBLISHED)
def test_published_prices_count_cache_reads_and_writes(
    provider: str, model: str, read_in: float, out: float, cached: float, written: float
) -> None:
    usage = Usage(
        input_tokens=10_000, output_tokens=2_000, cached_input_tokens=6_000, cache_write_tokens=1_000
    )
    expected = (3_000 * read_in + 6_000 * cached + 1_000 * written + 2_000 * out) / 1_000_000
    cost = PriceTable({}, NOON).cost(provider, model, "", usage)
    assert cost == pytest.approx(expected)


@pytest.mark.parametrize(
    "provider, model, base_url, known",
    [
        ("anthropic", "us.anthropic.claude-sonnet-4-5", "", True),  # a gateway's name of the same model
        ("anthropic", "claude-nonsense", "", False),
        ("ollama", "qwen3", "http://127.0.0.1:11434/v1", False),
        ("custom", "gpt-5.2", "https://gateway.example.com/v1", False),  # a gateway may have any price
        ("custom", "gpt-5.2", "https://api.openai.com/v1", True),
    ],
)
def test_unknown_prices_are_none(provider: str, model: str, base_url: str, known: bool) -> None:
    assert PriceTable({}).has(provider, model, base_url) is known


def test_own_prices_come_first_and_may_leave_the_cache_out(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text(
        json.dumps({"custom:m": {"input": 2, "output": 4, "cachedInput": 1}, "m2": {"input": 1, "output": 0}})
    )
    table = PriceTable(read_own_prices({"AGENT_RUNTIME_PRICES": str(file)}))
    usage = Usage(input_tokens=1000, output_tokens=100, cached_input_tokens=500, cache_write_tokens=100)
    assert table.cost("custom", "m", "", usage) == pytest.approx(
        (400 * 2 + 500 * 1 + 100 * 2 + 100 * 4) / 1e6
    )
    assert table.cost("anthropic", "m2", "", usage) == pytest.approx(1000 / 1e6)
    assert table.cost("anthropic", "m", "", usage) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "not JSON",
        '{"m": 3}',
        '{"m": {"input": 3}}',
        '{"m": {"input": -1, "output": 1}}',
        '{"m": {"input": "3", "output": 1}}',
        '{"m": {"input": true, "output": 1}}',
        '{"m": {"input": NaN, "output": 1}}',
        '{"m": {"input": 1, "output": 1, "cached": 1}}',
    ],
)
def test_a_file_of_prices_that_cannot_be_used_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text(content)
    names = rf"AGENT_RUNTIME_PRICES: {re.escape(str(file))}: " + ("m: " if content.startswith('{"m"') else "")
    with pytest.raises(RequestError, match="AGENT_RUNTIME_PRICES: " if "NaN" in content else names):
        read_own_prices({"AGENT_RUNTIME_PRICES": str(file)})


def test_a_missing_file_of_prices_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="can be read"):
        read_own_prices({"AGENT_RUNTIME_PRICES": str(tmp_path / "none.json")})
