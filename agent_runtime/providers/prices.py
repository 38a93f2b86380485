"""What model calls cost in US dollars.

Prices of one's own, in the file that AGENT_RUNTIME_PRICES names, come before the published ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent_runtime.errors import RequestError
from agent_runtime.protocol.messages import Usage
from agent_runtime.protocol.strict_json import decode
from agent_runtime.providers.models import plain_name
from agent_runtime.providers.provider_table import PROVIDERS
from agent_runtime.providers.published_prices import published_cost
from agent_runtime.system.safe_open import read_bounded

VARIABLE = "AGENT_RUNTIME_PRICES"

_MAX_FILE = 4 << 20  # bytes
_NAMES = ("input", "output", "cachedInput", "cacheWrite")
_EXPECTED = (
    'expected {"provider:model" or "model": {"input": 3, "output": 15, "cachedInput": 0.3, "cacheWrite": 3.75}}'
    " in US dollars for a million tokens"
)
# the ids in the published prices, where they are not our names of providers
_PROVIDER_IDS = {
    "openai-chat": "openai",
    "azure-chat": "azure",
    "bedrock": "aws",
    "vertex": "google",
    "foundry": "azure",
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
    try:
        table = decode(data, VARIABLE, example='{"openai:gpt-5.5": {"input": 5, "output": 30}}')
    except RequestError as error:
        raise RequestError(VARIABLE, f"{named}: {error.problem}") from None
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
    """The prices of all models.

    Args:
        own: prices that come before the published ones; see `read_own_prices`.
        when: the time whose prices are used, where prices depend on it; None for the present.
    """

    def __init__(self, own: OwnPrices, when: datetime | None = None) -> None:
        self._own, self._when = own, when

    def has(self, provider: str, model: str, base_url: str, base_model: str = "") -> bool:
        """Return whether the price of a model is known; see `cost`."""
        return self.cost(provider, model, base_url, Usage(input_tokens=1), base_model) is not None

    def cost(
        self, provider: str, model: str, base_url: str, usage: Usage, base_model: str = ""
    ) -> float | None:
        """Return what a model call costs; None when the price of the model is not known.

        Args:
            provider: our name of the provider; another name means a custom endpoint, which is known by its address.
            model: the model as it was requested.
            base_url: the address of the endpoint.
            usage: of one call.
            base_model: the model behind a name that a user has chosen; empty where there is no such name.
        """
        names = (f"{provider}:{model}", model, f"{provider}:{base_model}", base_model)
        row = next((self._own[name] for name in names if name in self._own), None)
        return _by_row(row, usage) if row else self._published(provider, base_model or model, base_url, usage)

    def _published(self, provider: str, model: str, base_url: str, usage: Usage) -> float | None:
        when = self._when or datetime.now(UTC)
        where = (
            {"provider": _PROVIDER_IDS.get(provider, provider)}
            if provider in PROVIDERS
            else {"url": base_url}
        )
        costs = (
            published_cost(name, usage, when, **where) for name in dict.fromkeys((model, plain_name(model)))
        )
        return next((cost for cost in costs if cost is not None), None)


def _by_row(row: Mapping[str, float], usage: Usage) -> float:
    cached, written = usage.cached_input_tokens, usage.cache_write_tokens
    fresh = max(0, usage.input_tokens - cached - written)
    dollars = fresh * row["input"] + usage.output_tokens * row["output"]
    dollars += cached * row.get("cachedInput", row["input"])
    dollars += written * row.get("cacheWrite", row["input"])
    return dollars / 1_000_000
