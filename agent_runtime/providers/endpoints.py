"""Which model a name means: `provider:name`, a bare name, or an endpoint that the request brings along.

Import-light on purpose: this runs before the first event is written. No SDK is imported here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from agent_runtime.errors import RequestError
from agent_runtime.protocol.messages import WireFormat
from agent_runtime.providers.catalog import (
    MODELS,
    PROVIDERS,
    UNKNOWN,
    CallProcesses,
    ModelRow,
    Provider,
    Thinking,
)

_BARE = re.compile(r"(?P<anthropic>claude-)|(?P<openai>gpt-|codex-|o\d)")
_GPT = re.compile(r"gpt-|codex-|o\d")
_OTHER_BASE_VARIABLES = {"google": "GEMINI_BASE_URL", "alibaba": "DASHSCOPE_BASE_URL"}
_FORMATS: dict[str, WireFormat] = {"openai": "openai-chat", "anthropic": "anthropic"}


@dataclass(frozen=True)
class Endpoint:
    """One model at one place, with all that its wire and transport must know. Plain values only: goes into
    JSON.

    `efforts` are the effort levels it takes, `thinking_off` is what switches thinking off ("" is leaving it
    out, "-" is nothing). `needs_key` without `api_key` ends the first call with an authentication_error.
    """

    provider: str
    format: WireFormat
    model: str
    base_url: str | None
    api_key: str | None
    key_variable: str
    context_window: int
    max_output: int
    family: CallProcesses
    needs_key: bool = True
    thinking: Thinking = "none"
    thinking_off: str = ""
    takes_temperature: bool = True
    efforts: tuple[str, ...] = ()
    editor_tool: bool = False
    custom_tools: bool = False
    hosted_tools: bool = False
    vision: bool = True
    max_tokens_field: str = "max_tokens"
    stream_usage: bool = True
    parallel_flag: bool = False
    effort_style: str = ""
    thinking_style: str = ""
    cache_key: bool = False
    short_ids: bool = False

    def __repr__(self) -> str:
        return f"Endpoint({self.provider}:{self.model})"  # the key must reach no log


def resolve(model: str | Mapping[str, Any], environ: Mapping[str, str]) -> Endpoint:
    """The endpoint of a model. Raises RequestError naming `model` when none can be told."""
    if isinstance(model, str):
        provider, name = _split(model)
        return _endpoint(provider, PROVIDERS[provider], name, environ)
    name = str(model.get("name") or "")
    if not name:
        raise RequestError("model.name", "expected the name of a model")
    if model.get("endpoint") is None and model.get("provider") != "custom":
        endpoint = resolve(f"{model.get('provider')}:{name}", environ)
        return _with(endpoint, api_key=model["apiKey"]) if model.get("apiKey") else endpoint
    return _custom(model, name)


def key_variables() -> frozenset[str]:
    """The environment variables that hold keys, of every provider there is."""
    return frozenset(
        {row.key_variable for row in PROVIDERS.values()} | {"ANTHROPIC_AUTH_TOKEN", "GOOGLE_API_KEY"}
    )


def base_variable(provider: str) -> str:
    """The environment variable that gives another address for a provider."""
    default = PROVIDERS[provider].key_variable.replace("_API_KEY", "_BASE_URL")
    return _OTHER_BASE_VARIABLES.get(provider, default)


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
        f"cannot tell the provider of {model!r}; expected provider:name, with a provider among "
        f"{', '.join(provider_names())}, or a name that begins with claude-, gpt-, codex- or o and a digit",
    )


def _canonical(name: str) -> str | None:
    name = name.strip().lower()
    if name in PROVIDERS:
        return name
    return next((provider for provider, row in PROVIDERS.items() if name in row.aliases), None)


def _endpoint(provider: str, row: Provider, name: str, environ: Mapping[str, str]) -> Endpoint:
    key = environ.get(row.key_variable)
    if not key and provider == "anthropic":
        key = environ.get("ANTHROPIC_AUTH_TOKEN")
    if not key and provider == "google":
        key = environ.get("GOOGLE_API_KEY")
    base_url = (environ.get(base_variable(provider)) or row.base_url).strip()
    if row.format == "anthropic":  # its SDK adds the version itself
        base_url = re.sub(r"/v1/*$", "", base_url)
    return _build(provider, row, name, base_url=base_url, api_key=(key or "").strip() or None)


def _custom(model: Mapping[str, Any], name: str) -> Endpoint:
    endpoint = str(model.get("endpoint") or "")
    if not re.match(r"https?://[^/]", endpoint):
        raise RequestError("model.endpoint", f"expected an http(s) URL: {endpoint!r}")
    format = _FORMATS.get(str(model.get("format") or "openai"))
    if format is None:
        raise RequestError("model.format", f"expected one of {', '.join(_FORMATS)}: {model.get('format')!r}")
    base_url = re.sub(r"(/chat/completions|/v1/messages|/messages)?/*$", "", endpoint)
    if format == "anthropic":
        base_url = base_url.removesuffix("/v1")
        official = PROVIDERS["anthropic"]
    else:
        base_url += "/v1" if urlsplit(base_url).path == "" else ""
        official = PROVIDERS["openai-chat"]
    is_official = urlsplit(official.base_url).hostname == urlsplit(base_url).hostname
    row = (
        official
        if is_official
        else Provider(base_url, "", format, needs_key=False, effort_style=official.effort_style)
    )
    provider = str(model.get("provider") or "custom")
    return _build(provider, row, name, base_url=base_url, api_key=str(model.get("apiKey") or "") or None)


def _build(provider: str, row: Provider, name: str, *, base_url: str, api_key: str | None) -> Endpoint:
    model = model_row(name)
    reasons = model.thinking == "effort" and _GPT.match(_plain(name)) is not None
    return Endpoint(
        provider=provider,
        format=row.format,
        model=name,
        base_url=base_url,
        api_key=api_key,
        key_variable=row.key_variable,
        context_window=model.context_window,
        max_output=model.max_output,
        family=_family(provider, name),
        needs_key=row.needs_key,
        thinking=model.thinking,
        thinking_off=model.thinking_off,
        takes_temperature=model.temperature,
        efforts=model.efforts,
        editor_tool=model.editor_tool and row.format == "anthropic",
        custom_tools=model.custom_tools and row.format == "openai-responses",
        hosted_tools=row.hosted_tools,
        vision=model.vision,
        max_tokens_field="max_completion_tokens" if reasons else row.max_tokens_field,
        stream_usage=row.stream_usage,
        parallel_flag=row.parallel_flag,
        effort_style=row.effort_style,
        thinking_style=row.thinking_style,
        cache_key=row.cache_key,
        short_ids=row.short_ids,
    )


def model_row(name: str) -> ModelRow:
    """What is known of a model by its name."""
    plain = _plain(name)
    fitting = [row for row in MODELS if plain.startswith(row.prefix)]
    return max(fitting, key=lambda row: len(row.prefix), default=UNKNOWN)


def _plain(name: str) -> str:
    return name.lower().rpartition("/")[2].replace(".", "-")


def _family(provider: str, name: str) -> CallProcesses:
    plain = _plain(name)
    if plain.startswith("claude-") or provider == "anthropic":
        return "claude"
    return "codex" if _GPT.match(plain) or provider == "openai" else "platform"


def _with(endpoint: Endpoint, **changes: Any) -> Endpoint:
    return Endpoint(**{**vars(endpoint), **changes})
