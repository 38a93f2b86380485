"""Resolves the name of a model: `provider:name`, a bare name, or an endpoint that the request brings along.

This runs before the first event is written: nothing for HTTP is imported here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from agent_runtime.errors import RequestError
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.protocol.messages import WireFormat
from agent_runtime.providers.address import Address, host_of, parse_address
from agent_runtime.providers.catalog import ModelRow, Provider, ToolFamily
from agent_runtime.providers.clouds import place_of, secret_variables
from agent_runtime.providers.deployments import base_model, is_gpt, tool_family
from agent_runtime.providers.headers import environment_headers
from agent_runtime.providers.models import find_model
from agent_runtime.providers.provider_table import PROVIDERS
from agent_runtime.providers.provider_variables import base_variable, key_in

_BARE = lazy_pattern(r"(?P<anthropic>claude-)|(?P<openai>gpt-|codex-|o\d)")
_FORMATS: dict[str, WireFormat] = {
    "openai": "openai-chat",
    "openai-responses": "openai-responses",
    "anthropic": "anthropic",
}


@dataclass(frozen=True)
class Endpoint:
    """One model at one place, with all that its wire and transport must know. Plain values only: it is recorded.

    provider: the name that events carry.
    api_key: None although the provider needs one ends the first call with an authentication_error, unless its cloud
        has credentials.
    query: what is sent behind the `?` of every request.
    key_is_token: the key is a bearer token (ANTHROPIC_AUTH_TOKEN).
    headers: further headers from the environment, names in lower case; may hold secrets.
    region, project: of a cloud; see `clouds.Place`.
    credentials: variables with credentials of the cloud.
    base_model: the model behind a name that a user has chosen; empty where the name is that of the model.
    omitted: fields of the request body that the provider refused, `a.b` for a field inside another.
    """

    provider: str
    model: str
    base_url: str
    api_key: str | None
    provider_row: Provider
    model_row: ModelRow
    query: dict[str, str] = field(default_factory=dict)
    omitted: tuple[str, ...] = ()
    key_is_token: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    region: str = ""
    project: str = ""
    credentials: dict[str, str] = field(default_factory=dict)
    base_model: str = ""

    def __repr__(self) -> str:
        return f"Endpoint({self.provider}:{self.model})"  # the key must reach no log

    @property
    def format(self) -> WireFormat:
        """The wire format of the endpoint."""
        return self.provider_row.format

    @property
    def key_variable(self) -> str:
        """The environment variable of the key; empty for a custom endpoint."""
        return self.provider_row.key_variable

    @property
    def needs_key(self) -> bool:
        """Whether a key is required."""
        return self.provider_row.needs_key and not self.provider_row.credentials

    @property
    def context_window(self) -> int:
        """Tokens of the model's context."""
        return self.model_row.context_window

    @property
    def max_output(self) -> int:
        """The most tokens that the model writes in one call."""
        return self.model_row.max_output

    @property
    def tool_family(self) -> ToolFamily:
        """The tools that the model was trained on."""
        return tool_family(self.provider, self.format, self.base_model or self.model, self.model_row)


def resolve(model: str | Mapping[str, Any], environ: Mapping[str, str]) -> Endpoint:
    """The endpoint of a model. Raises RequestError naming `model` when the name does not identify one."""
    if isinstance(model, str):
        provider, name = _split(model)
        return _endpoint(provider, name, environ)
    name = str(model.get("name") or "")
    if not name:
        raise RequestError("model.name", "expected the name of a model")
    if model.get("endpoint") is None and model.get("provider") != "custom":
        endpoint = resolve(f"{model.get('provider')}:{name}", environ)
        given = model.get("apiKey")
        return replace(endpoint, api_key=given, key_is_token=False) if given else endpoint
    return _custom(model, name, environ)


def rekeyed(endpoint: Endpoint, environ: Mapping[str, str]) -> Endpoint:
    """The endpoint with the key or the credentials that the environment has for its provider, if it has any."""
    key, is_token = key_in(endpoint.provider, endpoint.provider_row, environ)
    if key:
        return replace(endpoint, api_key=key, key_is_token=is_token)
    credentials = {} if endpoint.api_key else _credentials(endpoint.provider_row, environ)
    return replace(endpoint, credentials=credentials) if credentials else endpoint


def provider_names() -> list[str]:
    """Every name that may stand before the colon."""
    return sorted([*PROVIDERS, *(alias for row in PROVIDERS.values() for alias in row.aliases)])


def _split(model: str) -> tuple[str, str]:
    before, colon, name = model.strip().partition(":")
    if colon and (provider := _canonical(before)):
        if not name.strip():
            raise RequestError("model", f"expected a model's name after {before!r} and the colon")
        return provider, name.strip()
    if match := _BARE.match(model.strip()):
        return str(match.lastgroup), model.strip()
    raise RequestError(
        "model",
        f"the provider of {model!r} is unknown; expected provider:name, with a provider among "
        f"{', '.join(provider_names())}, or a name that begins with claude-, gpt-, codex- or o and a digit",
    )


def _canonical(name: str) -> str | None:
    name = name.strip().lower()
    if name in PROVIDERS:
        return name
    return next((provider for provider, row in PROVIDERS.items() if name in row.aliases), None)


def _endpoint(provider: str, name: str, environ: Mapping[str, str]) -> Endpoint:
    row = PROVIDERS[provider]
    key, is_token = key_in(provider, row, environ)
    place = place_of(provider, row, (environ.get(base_variable(provider)) or "").strip(), environ)
    base_url = place.address.base_url
    if row.format == "anthropic" and not row.platform:  # the version is a part of the format's path
        base_url = base_url.removesuffix("/v1")
    return replace(
        _build(provider, name, row, Address(base_url, place.address.query), key, environ),
        headers=environment_headers(row.key_variable, environ),
        key_is_token=is_token,
        region=place.region,
        project=place.project,
        credentials=_credentials(row, environ),
    )


def _credentials(row: Provider, environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[name] for name in secret_variables(row) if environ.get(name)}


def _custom(model: Mapping[str, Any], name: str, environ: Mapping[str, str]) -> Endpoint:
    url = str(model.get("endpoint") or "")
    if not re.match(r"https?://[^/]", url):
        raise RequestError("model.endpoint", f"expected an http(s) URL: {url!r}")
    format = _FORMATS.get(str(model.get("format") or "openai"))
    if format is None:
        raise RequestError("model.format", f"expected one of {', '.join(_FORMATS)}: {model.get('format')!r}")
    address = parse_address(url)
    if not model.get("format") and address.suffix:
        format = address.suffix
    elif format == "openai-chat" and address.suffix == "openai-responses":
        format = address.suffix  # the address says which of OpenAI's two formats is meant
    base_url = address.base_url
    if format == "anthropic":
        base_url = base_url.removesuffix("/v1")
    elif base_url.count("/") == 2:  # a host alone
        base_url += "/v1"
    provider, key = str(model.get("provider") or "custom"), str(model.get("apiKey") or "")
    return _build(provider, name, _row_at(base_url, format), Address(base_url, address.query), key, environ)


def _build(
    provider: str, name: str, row: Provider, address: Address, key: str, environ: Mapping[str, str]
) -> Endpoint:
    base = base_model(provider, name, environ)
    model = find_model(base or name)
    if model.thinking == "effort" and is_gpt(base or name):
        row = replace(row, max_tokens_field="max_completion_tokens")
    return Endpoint(
        provider, name, address.base_url, key.strip() or None, row, model, address.query, base_model=base
    )


def _row_at(base_url: str, format: WireFormat) -> Provider:
    """The row of the provider that this host belongs to; for other hosts, a row that assumes few capabilities."""
    host = host_of(base_url)
    for row in PROVIDERS.values():
        if row.format == format and row.needs_key and host_of(row.base_url) == host:
            return row
    return Provider(base_url, "", format, needs_key=False, effort_style="reasoning_effort")
