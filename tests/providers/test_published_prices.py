"""The table of prices gives the costs of the package that it is made of, for every provider, model and time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import genai_prices
import pytest
from genai_prices import types
from genai_prices.data_snapshot import get_snapshot

from agent_runtime.protocol.messages import Usage
from agent_runtime.providers.published_prices import published_cost

REPO = Path(__file__).parents[2]
USAGES = [
    Usage(input_tokens=9_000, output_tokens=500),
    Usage(input_tokens=9_000, output_tokens=500, cached_input_tokens=6_000, cache_write_tokens=1_000),
    Usage(input_tokens=300_001, output_tokens=7, cached_input_tokens=10),  # above the first tier
    Usage(),
]
TIMES = [
    datetime(2025, 1, 2, 3, 4, tzinfo=UTC),
    datetime(2026, 11, 20, 17, 0, tzinfo=UTC),  # off-peak
    datetime(2026, 11, 20, 9, 0, tzinfo=UTC),
]
PROVIDERS = {each.id: each for each in get_snapshot().providers}


def names(match: Any) -> Iterator[str]:
    """Names that may satisfy a condition."""
    if isinstance(match, types.ClauseOr | types.ClauseAnd):
        for each in match.or_ if isinstance(match, types.ClauseOr) else match.and_:
            yield from names(each)
    elif not isinstance(match, types.ClauseRegex):
        [text] = vars(match).values()
        yield from (text, text.upper(), f"{text}-20251101", f"x/{text}")


def published(name: str, usage: Usage, when: datetime, **where: str) -> float | None:
    counts = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    calculate: Any = genai_prices.calc_price
    try:
        return float(calculate(counts, name, genai_request_timestamp=when, **where).total_price)
    except (LookupError, ValueError):
        return None


def same(ours: float | None, theirs: float | None) -> bool:
    return ours == theirs if ours is None or theirs is None else ours == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_model_of_a_provider_costs_what_the_package_says(provider: str) -> None:
    of_provider = PROVIDERS[provider]
    known = {name for model in of_provider.models for name in (model.id, *names(model.match))}
    wrong = []
    for number, name in enumerate(sorted({*known, "gpt-5.2", "claude-sonnet-4-5", "unknown"})):
        usage, when = USAGES[number % len(USAGES)], TIMES[number % len(TIMES)]
        ours = published_cost(name, usage, when, provider=provider)
        theirs = published(name, usage, when, provider_id=provider)
        if not same(ours, theirs):
            wrong.append((name, usage, when, ours, theirs))
    assert wrong == []


@pytest.mark.parametrize("usage", USAGES)
@pytest.mark.parametrize("when", TIMES)
def test_times_tiers_and_addresses_count(usage: Usage, when: datetime) -> None:
    asked = [
        ("claude-sonnet-4-5", {"provider": "anthropic"}, {"provider_id": "anthropic"}),
        ("deepseek-chat", {"provider": "deepseek"}, {"provider_id": "deepseek"}),
        ("gemini-2.5-pro", {"provider": "Google-Gla"}, {"provider_id": "Google-Gla"}),
        ("gpt-5.2", {"url": "https://api.openai.com/v1"}, {"provider_api_url": "https://api.openai.com/v1"}),
        ("gpt-4o", {"url": "https://x.openai.azure.com"}, {"provider_api_url": "https://x.openai.azure.com"}),
        ("m", {"url": "http://127.0.0.1"}, {"provider_api_url": "http://127.0.0.1"}),
    ]
    for name, ours, theirs in asked:
        assert same(published_cost(name, usage, when, **ours), published(name, usage, when, **theirs)), name


def test_the_file_is_up_to_date(tmp_path: Path) -> None:
    file = REPO / "agent_runtime" / "data" / "prices.ndjson"
    script = (REPO / "scripts" / "make-prices").read_text()
    copy = tmp_path / "scripts" / "make-prices"
    copy.parent.mkdir()
    (tmp_path / "agent_runtime" / "data").mkdir(parents=True)
    copy.write_text(script)
    subprocess.run([sys.executable, copy], check=True)
    assert (tmp_path / "agent_runtime" / "data" / "prices.ndjson").read_text() == file.read_text()
