"""Which models a run uses, where they are, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from agent_runtime.errors import RequestError
from agent_runtime.prompting.agent_definitions import Agent
from agent_runtime.protocol.request import CustomModel, Request
from agent_runtime.providers.endpoint_checks import check_address
from agent_runtime.providers.endpoints import Endpoint, resolve
from agent_runtime.providers.keys import from_request
from agent_runtime.providers.provider_variables import key_variables, provider_of_key

# the default model depends on the key that is set
DEFAULT_MODELS = (("ANTHROPIC_API_KEY", "claude-sonnet-5-5"), ("OPENAI_API_KEY", "gpt-5.5"))


def chosen_models(request: Request, agent: Agent, environ: Mapping[str, str]) -> tuple[Endpoint, ...]:
    """Return the models of the request, else of the agent, else of the environment; the first is used.

    Raises:
        RequestError: a model is unknown, or its key or address cannot be used.
    """
    wanted: Sequence[Any] = request.models
    if not wanted and agent.model:
        wanted = [agent.model] if isinstance(agent.model, str) else list(agent.model)
    if not wanted:
        wanted = [environ.get("AGENT_RUNTIME_MODEL") or _default_model(environ)]
    if request.model is not None and not request.models:
        raise RequestError("model", "expected at least one model in the list")
    key_of = cache(from_request)  # a descriptor can be read only once, and two models may name the same one

    def place(item: str | CustomModel) -> Endpoint:
        if isinstance(item, str):
            endpoint = resolve(item, environ)
        else:
            key = {"apiKey": key_of(item.api_key)} if item.api_key else {}
            endpoint = resolve(item.model_dump(by_alias=True, exclude_none=True) | key, environ)
        check_address(endpoint)
        return endpoint

    return tuple(map(place, wanted))


def _default_model(environ: Mapping[str, str]) -> str:
    """Return the default model of the provider whose key is set. Raises RequestError when only other keys are set."""
    for variable, model in DEFAULT_MODELS:
        if environ.get(variable) or environ.get(f"{variable}_FD"):
            return model
    if others := sorted(name for name in key_variables() if environ.get(name)):
        raise RequestError(
            "model",
            f"expected the name of a model, such as --model {provider_of_key(others[0])}:NAME: there is no default for"
            f" the keys that are set ({', '.join(others)}); `agent-runtime models` lists names",
        )
    return DEFAULT_MODELS[0][1]


def own_prices_of(
    max_cost: float | None, endpoints: Sequence[Endpoint], environ: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    """Return the caller's own prices.

    Raises:
        RequestError: there is a limit of the cost, and the price of a model is not known.
    """
    if max_cost is None and not environ.get("AGENT_RUNTIME_PRICES"):
        return {}
    from agent_runtime.providers.prices import PriceTable, read_own_prices

    own = read_own_prices(environ)
    table = PriceTable(own)
    for endpoint in endpoints if max_cost is not None else ():
        if not table.has(endpoint.provider, endpoint.model, endpoint.base_url, endpoint.base_model):
            raise RequestError(
                "config.maxCost",
                f"expected a model whose price is known, got {endpoint.provider}:{endpoint.model}; "
                "give its price in the file that AGENT_RUNTIME_PRICES names",
            )
    return own
