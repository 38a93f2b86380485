"""The models behind names that their users have chosen: deployments, inference profiles, aliases of a gateway.

What a model can do is known by its name. Where the name does not say it, AGENT_RUNTIME_DEPLOYMENTS does:
`azure:team-a=gpt-5.5,prod=claude-sonnet-4-6`, with or without the provider.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent_runtime.errors import RequestError
from agent_runtime.lazy import lazy_pattern
from agent_runtime.protocol.messages import WireFormat
from agent_runtime.providers.catalog import ModelRow, ToolFamily
from agent_runtime.providers.model_table import UNKNOWN
from agent_runtime.providers.models import find_model, plain_name
from agent_runtime.providers.provider_table import PROVIDERS

VARIABLE = "AGENT_RUNTIME_DEPLOYMENTS"

_GPT = lazy_pattern(r"gpt-|codex-|o\d")
_AZURE = frozenset({"azure", "azure-chat"})  # where a name that is not known is that of a model of OpenAI


def deployments(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the models behind names, by `provider:name` or `name`, as AGENT_RUNTIME_DEPLOYMENTS lists them.

    Raises RequestError when an entry is not NAME=MODEL, or nothing is known of its model.
    """
    found: dict[str, str] = {}
    for entry in filter(None, map(str.strip, environ.get(VARIABLE, "").split(","))):
        name, _, model = map(str.strip, entry.rpartition("="))
        if not name or not model:
            raise RequestError(VARIABLE, f"expected NAME=MODEL, separated by commas: {entry!r:.80}")
        if find_model(model).pattern == UNKNOWN.pattern:
            raise RequestError(VARIABLE, f"expected a model that `agent-runtime models` lists: {entry!r:.80}")
        found[name] = model
    return found


def base_model(provider: str, name: str, environ: Mapping[str, str]) -> str:
    """Return the model behind a name; empty where the name stands for itself. Raises RequestError."""
    if not environ.get(VARIABLE):
        return ""
    known = deployments(environ)
    return known.get(f"{provider}:{name}") or known.get(name) or ""


def is_gpt(model: str) -> bool:
    """Return whether this is the name of a model of OpenAI."""
    return bool(_GPT.match(plain_name(model)))


def tool_family(provider: str, format: WireFormat, model: str, row: ModelRow) -> ToolFamily:
    """Return the tools that a model was trained on.

    Args:
        provider: where it is.
        format: the wire format.
        model: its name, or that of the model behind it.
        row: what is known of it.
    """
    is_anthropic = format == "anthropic" and provider in PROVIDERS  # deployments may have any name
    if plain_name(model).startswith("claude-") or is_anthropic:
        return "claude"
    of_openai = provider == "openai" or (provider in _AZURE and row.pattern == UNKNOWN.pattern)
    return "codex" if is_gpt(model) or of_openai else "platform"
