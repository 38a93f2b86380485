"""What model calls cost in US dollars.

The published prices are those of the package genai-prices, which has 1.6 MB of data: it is imported when the first cost
is needed. Prices of one's own, in the file that AGENT_RUNTIME_PRICES names, come before them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from agent_runtime.errors import RequestError
from agent_runtime.protocol.messages import Usage
from agent_runtime.protocol.strict_json import decode
from agent_runtime.providers.catalog import PROVIDERS
from agent_runtime.providers.models import plain_name
from agent_runtime.system.safe_open import read_bounded

VARIABLE = "AGENT_RUNTIME_PRICES"

_MAX_FILE = 4 << 20  # bytes
_NAMES = ("input", "output", "cachedInput", "cacheWrite")
_EXPECTED = (
    'expected {"provider:model" or "model": {"input": 3, "output": 15, "cachedInput": 0.3, "cacheWrite": 3.75}}'
    " in US dollars for a million tokens"
)
# the ids of genai-prices, where they are not our names of providers
_PROVIDER_IDS = {
    "openai-chat": "openai",
    "xai": "x-ai",
    "moonshot": "moonshotai",
}
OwnPrices = Mapping[str, Mapping[str, float]]


def read_own_prices(environ: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return the prices of the file that AGENT_RUNTIME_PRICES names, by model; empty when it is not set.

    Raises RequestError when the file cannot be read or has something else in it.
    """
    named = environ.get(VARIABLE)
    if not named:
        return {}
    try:
        data = read_bounded(Path(named), _MAX_FILE)
    except OSError as error:
        raise RequestError(
            VARIABLE, f"expected a file that can be read: {named} ({error.strerror})"
        ) from error
    if len(data) > _MAX_FILE:
        raise RequestError(VARIABLE, f"expected a file of at most {_MAX_FILE} bytes: {named}")
    table = decode(data, VARIABLE, example='{"openai:gpt-5.5": {"input": 5, "output": 30}}')
    if not isinstance(table, dict):
        raise RequestError(VARIABLE, f"{named}: {_EXPECTED}")
    return {model: _own_row(f"{named}: {model}", row) for model, row in table.items()}


def _own_row(where: str, row: Any) -> dict[str, float]:
    if not isinstance(row, dict) or not {"input", "output"} <= row.keys():
        raise RequestError(VARIABLE, f"{where}: {_EXPECTED}")
    for name, price in row.items():
        is_number = isinstance(price, int | float) and not isinstance(price, bool)
        if name not in _NAMES or not is_number or not (math.isfinite(price) and price >= 0):
            raise RequestError(VARIABLE, f"{where}: {name}: {_EXPECTED}")
    return {name: float(price) for name, price in row.items()}


class PriceTable:
    """The prices of all models. The published ones are loaded when first needed, which takes 0.2 s: use a thread.

    Args:
        own: prices that come before the published ones; see `read_own_prices`.
        when: the time whose prices are used, where prices depend on it; None for the present.
    """

    def __init__(self, own: OwnPrices, when: datetime | None = None) -> None:
        self._own, self._when = own, when

    def has(self, provider: str, model: str, base_url: str) -> bool:
        """Return whether the price of a model is known; see `cost`."""
        return self.cost(provider, model, base_url, Usage(input_tokens=1)) is not None

    def cost(self, provider: str, model: str, base_url: str, usage: Usage) -> float | None:
        """Return what a model call costs; None when the price of the model is not known. Blocking.

        Args:
            provider: our name of the provider; another name means a custom endpoint, which is known by its address.
            model: the model as it was requested.
            base_url: the address of the endpoint.
            usage: of one call.
        """
        row = self._own.get(f"{provider}:{model}") or self._own.get(model)
        return _by_row(row, usage) if row else self._published(provider, model, base_url, usage)

    def _published(self, provider: str, model: str, base_url: str, usage: Usage) -> float | None:
        import genai_prices  # noqa: PLC0415 -- takes 0.2 s

        counts = genai_prices.Usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cached_input_tokens,
            cache_write_tokens=usage.cache_write_tokens,
        )
        calculate: Callable[..., Any] = genai_prices.calc_price
        where = (
            {"provider_id": _PROVIDER_IDS.get(provider, provider)}
            if provider in PROVIDERS
            else {"provider_api_url": base_url}
        )
        for name in dict.fromkeys((model, plain_name(model))):
            try:
                price = calculate(counts, name, genai_request_timestamp=self._when, **where)
            except (LookupError, ValueError):
                continue  # unknown, or of a kind that is not sold by the token
            return float(price.total_price)
        return None


def published_version() -> str:
    """Return the name and the version of the table of published prices."""
    from importlib.metadata import version  # noqa: PLC0415 -- for a listing only

    return f"genai-prices {version('genai-prices')}"


def _by_row(row: Mapping[str, float], usage: Usage) -> float:
    cached, written = usage.cached_input_tokens, usage.cache_write_tokens
    fresh = max(0, usage.input_tokens - cached - written)
    dollars = fresh * row["input"] + usage.output_tokens * row["output"]
    dollars += cached * row.get("cachedInput", row["input"])
    dollars += written * row.get("cacheWrite", row["input"])
    return dollars / 1_000_000
