"""The secrets of a run, which are masked in everything that it writes."""

from __future__ import annotations

from collections.abc import Mapping

from agent_runtime.engine.run_config import RunConfig
from agent_runtime.output.masking import (
    Masker,
    address_secrets,
    header_secrets,
    is_common,
    named_as_secret,
    url_secrets,
)
from agent_runtime.providers.provider_variables import key_variables


def run_masker(config: RunConfig, environ: Mapping[str, str]) -> tuple[Masker, list[str]]:
    """Return the masker for the secrets of the run, and the names of variables that are too common to be masked."""
    keys = [endpoint.api_key for endpoint in config.endpoints if endpoint.api_key]
    keys += [secret for endpoint in config.endpoints for secret in endpoint.credentials.values()]
    queries = [item for endpoint in config.endpoints for item in endpoint.query.items()]
    keys += [value for name, value in queries if value and named_as_secret(name)]
    keys += [secret for endpoint in config.endpoints for secret in header_secrets(endpoint.headers)]
    keys += [environ[name] for name in key_variables() if environ.get(name)]
    proxies = {name: value for name, value in environ.items() if name.lower().endswith("_proxy")}
    addresses = {endpoint.model: endpoint.base_url or "" for endpoint in config.endpoints}
    keys += [*address_secrets(environ).values(), *url_secrets(proxies | addresses).values()]
    passwords = {name: value for name, value in config.request.env.items() if named_as_secret(name) and value}
    common = sorted(name for name, value in passwords.items() if is_common(value))
    masked = [value for name, value in passwords.items() if name not in common]
    if config.mcp_servers:
        from agent_runtime.engine.mcp_config import server_secrets

        masked += [value for value in server_secrets(config.mcp_servers) if not is_common(value)]
    strict = [key for key in keys if not is_common(key)]
    return Masker(strict, [*filter(is_common, keys), *masked]), common
