"""The older and the newer form of a request's body: both are brought into the newer one."""

from __future__ import annotations

from typing import Any

from agent_runtime.models.names import to_camel
from agent_runtime.protocol.messages import clean_text

_SYNONYMS = {"message": "prompt", "agentSlug": "agent", "thread": "threadId"}  # older name -> newer name
_IN_CONFIG = (  # fields of `config` that the older body has at its top
    "maxTurns",
    "maxTokens",
    "maxTotalTokens",
    "maxCost",
    "temperature",
    "timeout",
    "toolTimeout",
    "effort",
    "maxRetries",
)
# fields that do not take null, left out where it is given: many serializers write null for what is not set
_MAY_BE_NULL = (
    "askUser",
    "params",
    "context",
    "env",
    "mounts",
    "stream",
    "partial",
    "confine",
    "trackIgnored",
    "workspaceMcp",
)


def normalise(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the body in its newer form: camelCase, `prompt`, `agent`, and all limits under `config`."""
    body: dict[str, Any] = {}
    for key, value in raw.items():
        name = _camel(key)
        body.setdefault(_SYNONYMS.get(name, name), value)
    for old, new in _SYNONYMS.items():  # both given: the newer name wins, whatever their order
        if old in raw and new in raw:
            body[new] = raw[new]
    config = body.get("config")
    lifted = {name: body.pop(name) for name in _IN_CONFIG if name in body}
    if config is None or isinstance(config, dict):
        body["config"] = lifted | {_camel(key): value for key, value in (config or {}).items()}
    for name in _MAY_BE_NULL:
        if body.get(name, ...) is None:
            del body[name]
    if isinstance(body.get("mounts"), list):
        body["mounts"] = [_camel_keys(mount) for mount in body["mounts"]]
    if isinstance(servers := body.get("mcpServers"), dict):
        body["mcpServers"] = {name: _camel_keys(server) for name, server in servers.items()}
    model = body.get("model")
    body["model"] = [_camel_keys(item) for item in model] if isinstance(model, list) else _camel_keys(model)
    return body


def without_surrogates(value: Any) -> Any:
    """Return the JSON value without lone surrogates, which a `\\ud800` escape can contain."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(key): without_surrogates(item) for key, item in value.items()}
    return [without_surrogates(item) for item in value] if isinstance(value, list) else value


def _camel(key: str) -> str:
    return to_camel(key) if "_" in key else key


def _camel_keys(value: Any) -> Any:
    return {_camel(k): v for k, v in value.items()} if isinstance(value, dict) else value
