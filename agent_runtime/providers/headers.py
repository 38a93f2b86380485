"""The headers of model requests: the key, as each host reads it, and what the environment adds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent_runtime.protocol.messages import WireFormat
from agent_runtime.providers.address import host_of, is_azure
from agent_runtime.version import VERSION

ANTHROPIC_VERSION = "2026-10-21"  # of the API; the SDK of the same month sends it
# variables whose value is a header, by the variable of the key beside which they are read
_SINGLE = {"OPENAI_API_KEY": {"OPENAI_ORG_ID": "openai-organization", "OPENAI_PROJECT_ID": "openai-project"}}
# variables with a header on each line, `name: value`
_CUSTOM = {
    "ANTHROPIC_API_KEY": "ANTHROPIC_CUSTOM_HEADERS",
    "AWS_BEARER_TOKEN_BEDROCK": "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_VERTEX_ACCESS_TOKEN": "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_FOUNDRY_API_KEY": "ANTHROPIC_CUSTOM_HEADERS",
    "OPENAI_API_KEY": "OPENAI_CUSTOM_HEADERS",
}


def environment_headers(key_variable: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Headers that the environment gives for the provider with this key variable. Names are in lower case."""
    headers = {
        name: environ[variable]
        for variable, name in _SINGLE.get(key_variable, {}).items()
        if environ.get(variable)
    }
    for line in environ.get(_CUSTOM.get(key_variable, ""), "").split("\n"):
        name, colon, value = line.partition(":")
        if colon and name.strip():
            headers[name.strip().lower()] = value.strip()
    return headers


def auth_headers(
    base_url: str, query: Mapping[str, str], format: WireFormat, key: str, *, is_token: bool = False
) -> dict[str, str]:
    """The headers that carry the key.

    Anthropic reads a key from `x-api-key`, and a token (`ANTHROPIC_AUTH_TOKEN`) from `Authorization`. Other servers
    of its format read either. Azure reads a key from `api-key`, for models of Anthropic from `x-api-key`, and a token
    of Entra ID from `Authorization`. All others read `Authorization`.
    """
    bearer = {"authorization": f"Bearer {key}"}
    host = host_of(base_url)
    if is_azure(host):
        is_entra = key.count(".") == 2 and key.startswith("eyJ")
        if is_token or is_entra:
            return bearer
        return {"api-key": key, "x-api-key": key} if format == "anthropic" else {"api-key": key}
    if format == "anthropic" and not is_token:
        return {"x-api-key": key} if host == "api.anthropic.com" else {"x-api-key": key, **bearer}
    if "api-version" in query or "/openai/deployments/" in f"{base_url}/":
        return {"api-key": key, **bearer}
    return bearer


def key_headers(names: Iterable[str], key: str) -> dict[str, str]:
    """The headers of these names with the key."""
    return {name: f"Bearer {key}" if name == "authorization" else key for name in names}


def default_headers(format: WireFormat, platform: str = "") -> dict[str, str]:
    """The headers of every request of a format. On the platform of a cloud, the version of the API is in the body."""
    version = {"anthropic-version": ANTHROPIC_VERSION} if format == "anthropic" and not platform else {}
    return {
        "accept": "application/json",  # what the SDKs send, for streams too
        "content-type": "application/json",
        "user-agent": f"agent-runtime/{VERSION}",
        **version,
    }
