"""The published prices: those of the package genai-prices, whose own tables take 0.1 s to load.

The file data/prices.ndjson is made by scripts/make-prices. Its first line names the providers; each line after it has
the models of one provider, and only those lines are decoded that are needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from agent_runtime.lazy import lazy_pattern
from agent_runtime.protocol.messages import Usage

_FILE = Path(__file__).parents[1] / "data" / "prices.ndjson"
_COMPACT_DATE = lazy_pattern(r"(?<=-)(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")
Clause = str | list[Any]


def source() -> str:
    """Return the name and the version of the package that the prices are from."""
    return str(_head()["source"])


def published_cost(
    name: str, usage: Usage, when: datetime, *, provider: str = "", url: str = ""
) -> float | None:
    """Return what a model call costs in US dollars; None when the price of the model is not known.

    Args:
        name: the model.
        usage: of one call.
        when: the time of the call.
        provider: the provider's id in the table, or one of the names that it has there for it.
        url: the address of the endpoint, when there is no provider.
    """
    rows = _prices(name.lower(), provider.lower().strip(), url)
    return _total(_active(rows, when), usage) if rows else None


@lru_cache(maxsize=64)
def _prices(name: str, provider: str, url: str) -> list[dict[str, Any]] | None:
    """Return the prices of a model, with when they hold; None when it is not in the table."""
    number = _provider(provider, url)
    if number is None:
        return None
    for each in dict.fromkeys((name, _COMPACT_DATE.sub(r"\1-\2-\3", name))):
        for clause, *rows in _models(number):
            if matches(clause, each):
                return rows
    return None


@cache
def _lines() -> list[str]:
    return _FILE.read_text("utf-8").splitlines()


@cache
def _head() -> dict[str, Any]:
    head: dict[str, Any] = json.loads(_lines()[0])
    return head


@cache
def _rows(number: int) -> list[list[Any]]:
    rows: list[list[Any]] = json.loads(_lines()[number + 1])
    return rows


def _provider(id: str, url: str) -> int | None:
    """Return the number of a provider: the one with the id, or else a name that matches, or else by its address."""
    providers = _head()["providers"]
    if not id:
        return next((n for n, each in enumerate(providers) if re.match(each["url"], url)), None)
    same = [n for n, each in enumerate(providers) if each["id"] == id]
    other = (n for n, each in enumerate(providers) if each["match"] and matches(each["match"], id))
    return same[0] if same else next(other, None)


def _models(number: int) -> Iterator[list[Any]]:
    """Yield the models of a provider, and those of the providers whose models it sells too."""
    yield from _rows(number)
    providers = _head()["providers"]
    for id in providers[number]["fallback"]:
        yield from _rows(next(n for n, each in enumerate(providers) if each["id"] == id))


def matches(clause: Clause, name: str) -> bool:
    """Return whether a name, in lower case, satisfies a condition of the table."""
    if isinstance(clause, str):
        return name == clause
    operator, *rest = clause
    if operator in "|&":
        return (any if operator == "|" else all)(matches(each, name) for each in rest)
    text: str = rest[0]
    if operator == "~":
        return bool(re.search(text, name))
    if operator == "*":
        return text in name
    return name.startswith(text) if operator == "^" else name.endswith(text)


def _active(rows: list[dict[str, Any]], when: datetime) -> dict[str, Any]:
    """Return the last prices that hold at that time, or else the first."""
    when = when.astimezone(UTC)
    return next((row for row in reversed(rows) if _holds(row, when)), rows[0])


def _holds(row: Mapping[str, Any], when: datetime) -> bool:
    if "from" in row:
        return bool(when.date().isoformat() >= row["from"])
    if "between" in row:
        first, last = (time.fromisoformat(each).replace(tzinfo=None) for each in row["between"])
        now = when.time()
        return first <= now < last if first <= last else now >= first or now < last
    return True


def _total(row: Mapping[str, Any], usage: Usage) -> float | None:
    """Return the sum. Tokens of the cache without a price of their own are input."""
    counts = {"cachedInput": usage.cached_input_tokens, "cacheWrite": usage.cache_write_tokens}
    counts = {name: count for name, count in counts.items() if name in row}
    counts["input"] = usage.input_tokens - sum(counts.values())
    counts["output"] = usage.output_tokens
    if counts["input"] < 0:
        return None  # the usage that was reported is not possible
    dollars = sum(
        count * _rate(row[name], usage.input_tokens) for name, count in counts.items() if name in row
    )
    per_request: float = row.get("requests", 0)
    return dollars / 1_000_000 + per_request / 1_000


def _rate(price: float | list[Any], tokens: int) -> float:
    """Return the price of a million tokens in a call with `tokens` of input: all of them have that of the last tier."""
    if isinstance(price, list):
        return float(next((dear for above, dear in reversed(price[1:]) if tokens > above), price[0]))
    return price
