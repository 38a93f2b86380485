"""The environment variables with the keys and the addresses of providers."""

from __future__ import annotations

from collections.abc import Mapping

from agent_runtime.providers.catalog import Provider
from agent_runtime.providers.provider_table import PROVIDERS

_OTHER_BASE_VARIABLES = {
    "google": "GEMINI_BASE_URL",
    "alibaba": "DASHSCOPE_BASE_URL",
    "bedrock": "ANTHROPIC_BEDROCK_BASE_URL",
    "vertex": "ANTHROPIC_VERTEX_BASE_URL",
    "azure": "AZURE_OPENAI_ENDPOINT",
    "azure-chat": "AZURE_OPENAI_ENDPOINT",
}
_TOKEN_VARIABLES = {
    "anthropic": "ANTHROPIC_AUTH_TOKEN",
    "azure": "AZURE_OPENAI_AD_TOKEN",
    "azure-chat": "AZURE_OPENAI_AD_TOKEN",
    "foundry": "ANTHROPIC_FOUNDRY_AUTH_TOKEN",
}
_OTHER_KEY_VARIABLES = {"google": "GOOGLE_API_KEY"} | _TOKEN_VARIABLES
_AZURE = frozenset({"azure", "azure-chat", "foundry"})  # their tokens take precedence over keys


def key_variables() -> frozenset[str]:
    """The environment variables that hold keys, of every provider in the catalog."""
    return frozenset({row.key_variable for row in PROVIDERS.values()} | set(_OTHER_KEY_VARIABLES.values()))


def provider_of_key(variable: str) -> str:
    """Return the name of the provider whose key this variable holds. Raises StopIteration when there is none."""
    others = [name for name, other in _OTHER_KEY_VARIABLES.items() if other == variable]
    return next(
        name for name in [*PROVIDERS, *others] if name in others or PROVIDERS[name].key_variable == variable
    )


def base_variable(provider: str) -> str:
    """The environment variable that gives another address for a provider."""
    default = PROVIDERS[provider].key_variable.replace("_API_KEY", "_BASE_URL")
    return _OTHER_BASE_VARIABLES.get(provider, default)


def key_in(provider: str, row: Provider, environ: Mapping[str, str]) -> tuple[str, bool]:
    """The key of a provider, and whether it is a token; empty when there is none. The SDKs choose in the same way."""
    key = (environ.get(row.key_variable) or "").strip()
    other = (environ.get(_OTHER_KEY_VARIABLES.get(provider, "")) or "").strip()
    if other and (not key or provider in _AZURE):
        return other, provider in _TOKEN_VARIABLES
    return key, False
