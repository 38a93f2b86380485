"""Which model a name means."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any

import pytest

from agent_runtime.errors import RequestError
from agent_runtime.providers.endpoints import Endpoint, resolve
from agent_runtime.providers.provider_table import PROVIDERS

KEYS = {row.key_variable: f"key of {row.key_variable}" for row in PROVIDERS.values()}


@pytest.mark.parametrize(
    ("name", "provider", "format", "model", "family"),
    [
        ("claude-sonnet-4-5", "anthropic", "anthropic", "claude-sonnet-4-5", "claude"),
        ("gpt-5.2", "openai", "openai-responses", "gpt-5.2", "codex"),
        ("o3", "openai", "openai-responses", "o3", "codex"),
        ("codex-mini-latest", "openai", "openai-responses", "codex-mini-latest", "codex"),
        ("anthropic:claude-opus-4-6", "anthropic", "anthropic", "claude-opus-4-6", "claude"),
        ("openai-chat:gpt-4.1", "openai-chat", "openai-chat", "gpt-4.1", "codex"),
        ("openai-chat:my-model:7b", "openai-chat", "openai-chat", "my-model:7b", "platform"),
        ("ollama:qwen3:8b", "ollama", "openai-chat", "qwen3:8b", "platform"),
        ("gemini:gemini-2.5-pro", "google", "openai-chat", "gemini-2.5-pro", "platform"),
        (
            "OpenRouter:anthropic/claude-opus-4.6",
            "openrouter",
            "openai-chat",
            "anthropic/claude-opus-4.6",
            "claude",
        ),
        ("groq:openai/gpt-oss-120b", "groq", "openai-chat", "openai/gpt-oss-120b", "codex"),
    ],
)
def test_names_resolve_to_provider_format_and_model(
    name: str, provider: str, format: str, model: str, family: str
) -> None:
    endpoint = resolve(name, KEYS)
    found = (endpoint.provider, endpoint.format, endpoint.model, endpoint.tool_family)
    assert found == (provider, format, model, family)
    assert endpoint.api_key == KEYS[endpoint.key_variable]
    assert endpoint.base_url == PROVIDERS[provider].base_url


@pytest.mark.parametrize("name", ["", "llama-3", "nobody:x", "anthropic:", "openai: ", "opus", "omni", ":x"])
def test_an_ambiguous_name_is_refused_with_the_known_providers(name: str) -> None:
    with pytest.raises(RequestError) as caught:
        resolve(name, KEYS)
    assert caught.value.field == "model"


def test_the_message_names_the_providers() -> None:
    with pytest.raises(RequestError, match=r"anthropic.*groq.*openrouter.*claude-"):
        resolve("nobody:x", {})


@pytest.mark.parametrize(
    ("given", "base_url", "format"),
    [
        ({"format": "openai", "endpoint": "http://h:1/v1"}, "http://h:1/v1", "openai-chat"),
        ({"format": "openai", "endpoint": "http://h:1/v1/chat/completions"}, "http://h:1/v1", "openai-chat"),
        ({"format": "openai", "endpoint": "http://h:1/"}, "http://h:1/v1", "openai-chat"),
        ({"endpoint": "https://h/api/v3/"}, "https://h/api/v3", "openai-chat"),
        ({"format": "anthropic", "endpoint": "http://h:1"}, "http://h:1", "anthropic"),
        ({"format": "anthropic", "endpoint": "http://h:1/v1/messages"}, "http://h:1", "anthropic"),
        ({"format": "anthropic", "endpoint": "http://h:1/anthropic/v1"}, "http://h:1/anthropic", "anthropic"),
        ({"format": "openai", "endpoint": "http://h:1/v1/responses"}, "http://h:1/v1", "openai-responses"),
        ({"format": "openai-responses", "endpoint": "http://h:1"}, "http://h:1/v1", "openai-responses"),
        (
            {"format": "openai-responses", "endpoint": "http://h/v1/chat/completions"},
            "http://h/v1",
            "openai-responses",
        ),
        ({"endpoint": "http://h:1/v1/responses/"}, "http://h:1/v1", "openai-responses"),
        ({"endpoint": "http://h:1/v1/messages?beta=true"}, "http://h:1", "anthropic"),
        ({"endpoint": "https://x.openai.azure.com"}, "https://x.openai.azure.com/openai/v1", "openai-chat"),
    ],
)
def test_a_custom_endpoint(given: dict[str, Any], base_url: str, format: str) -> None:
    endpoint = resolve({"provider": "custom", "name": "m", "apiKey": "k"} | given, KEYS)
    assert (endpoint.base_url, endpoint.format, endpoint.api_key, endpoint.model) == (
        base_url,
        format,
        "k",
        "m",
    )
    assert endpoint.provider == "custom"


@pytest.mark.parametrize(
    ("endpoint", "base_url", "query"),
    [
        ("http://h/v1?a=b&c=", "http://h/v1", {"a": "b", "c": ""}),
        ("http://h/v1/chat/completions?a=b", "http://h/v1", {"a": "b"}),
        ("http://h?key=x%20y", "http://h/v1", {"key": "x y"}),
        ("http://h/v1/#fragment", "http://h/v1", {}),
        ("http://user:pass@h:1/v1?a=b", "http://user:pass@h:1/v1", {"a": "b"}),
        (
            "http://h/openai/deployments/gpt-4o?api-version=2024-06-01",
            "http://h/openai/deployments/gpt-4o",
            {"api-version": "2024-06-01"},
        ),
        (
            "https://x.openai.azure.com/openai/deployments/gpt-4o/chat/completions",
            "https://x.openai.azure.com/openai/deployments/gpt-4o",
            {"api-version": "2024-10-21"},
        ),
    ],
)
def test_the_query_of_a_base_url_is_kept_separately(
    endpoint: str, base_url: str, query: dict[str, str]
) -> None:
    custom = resolve({"provider": "custom", "endpoint": endpoint, "format": "openai", "name": "m"}, {})
    preset = resolve("openai-chat:m", {"OPENAI_BASE_URL": endpoint})
    assert (custom.base_url, custom.query, preset.query) == (base_url, query, query)


def test_a_custom_endpoint_at_a_known_host_gets_its_settings() -> None:
    model = {"provider": "custom", "endpoint": "https://api.mistral.ai/v1/", "format": "openai", "name": "m"}
    assert resolve(model, {}).provider_row == PROVIDERS["mistral"]


@pytest.mark.parametrize("given", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_a_base_url_may_name_the_version_that_the_sdk_adds(given: str) -> None:
    endpoint = resolve("claude-x", {"ANTHROPIC_BASE_URL": given})
    assert (endpoint.base_url or "").rstrip("/") == "http://h:1"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"endpoint": "http://h", "name": ""}, "model.name"),
        ({"name": "m"}, "model.endpoint"),
        ({"name": "m", "endpoint": "ftp://h"}, "model.endpoint"),
        ({"name": "m", "endpoint": "http://h", "format": "x"}, "model.format"),
    ],
)
def test_an_incomplete_custom_endpoint_is_refused(given: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        resolve({"provider": "custom"} | given, KEYS)
    assert caught.value.field == field


def test_a_named_provider_with_a_key_of_the_request() -> None:
    endpoint = resolve({"provider": "groq", "name": "llama-3.3-70b", "apiKey": "mine"}, KEYS)
    assert (endpoint.provider, endpoint.api_key) == ("groq", "mine")


def test_base_urls_of_the_environment() -> None:
    environ = {
        "ANTHROPIC_BASE_URL": "http://a",
        "OPENAI_BASE_URL": "http://o/v1",
        "GROQ_BASE_URL": "http://g",
    }
    names = ("claude-x", "openai:gpt-5", "openai-chat:gpt-5", "groq:x", "xai:y")
    assert [resolve(name, environ).base_url for name in names] == [
        "http://a",
        "http://o/v1",
        "http://o/v1",
        "http://g",
        "https://api.x.ai/v1",
    ]


@pytest.mark.parametrize(
    "name", ["claude-sonnet-4-5", "gpt-5.2", "openai-chat:gpt-4o", "mistral:mistral-large"]
)
def test_an_endpoint_survives_json_without_its_key(name: str) -> None:
    endpoint = resolve(name, KEYS)
    again = Endpoint(**json.loads(json.dumps(asdict(endpoint))))
    assert json.dumps(asdict(again)) == json.dumps(asdict(endpoint))
    assert str(endpoint.api_key) not in f"{endpoint!r} {endpoint}"


def test_resolving_an_endpoint_imports_no_sdk() -> None:
    code = (
        "import sys; from agent_runtime.providers.endpoints import resolve; resolve('claude-x', {});"
        "print(sorted({'anthropic', 'openai', 'httpx2', 'asyncio', 'anyio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
