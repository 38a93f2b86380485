"""The headers of requests: where each host reads the key, and what the environment adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from agent_runtime.providers.headers import auth_headers, default_headers
from agent_runtime.testing.model_server import ModelServer, Request, Turn
from agent_runtime.version import VERSION
from tests.providers.asking import asking

BEARER = {"authorization": "Bearer k"}


@pytest.mark.parametrize(
    ("url", "format", "headers"),
    [
        ("https://api.anthropic.com", "anthropic", {"x-api-key": "k"}),
        ("https://gateway.example", "anthropic", {"x-api-key": "k", **BEARER}),
        ("https://x.services.ai.azure.com/anthropic", "anthropic", {"api-key": "k", "x-api-key": "k"}),
        ("https://api.openai.com/v1", "openai-chat", BEARER),
        ("https://gateway.example/v1", "openai-chat", BEARER),
        ("https://x.openai.azure.com/openai/v1", "openai-responses", {"api-key": "k"}),
        ("https://proxy.example/openai/deployments/d", "openai-chat", {"api-key": "k", **BEARER}),
    ],
)
def test_the_header_of_the_key_depends_on_the_host(url: str, format: Any, headers: dict[str, str]) -> None:
    assert auth_headers(url, {}, format, "k") == headers


@pytest.mark.parametrize("url", ["https://api.anthropic.com", "https://gateway.example"])
def test_a_token_is_sent_only_as_bearer(url: str) -> None:
    assert auth_headers(url, {}, "anthropic", "k", is_token=True) == BEARER


def test_an_entra_id_token_is_sent_as_bearer() -> None:
    found = auth_headers("https://x.openai.azure.com/openai/v1", {}, "openai-chat", "eyJh.eyJz.sig")
    assert found == {"authorization": "Bearer eyJh.eyJz.sig"}


async def received(model: str, environ: Mapping[str, str]) -> Request:
    """The request that arrives for a model in an environment."""
    with ModelServer([Turn("done")]) as server:
        keys = ("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL")
        addresses = {name: url for name, url in server.environ("anthropic").items() if name in keys}
        async with asking(server, model, environ=addresses | dict(environ)) as asker:
            await asker.ask("go")
        return server.requests[0]


ENVIRONMENTS: dict[str, tuple[str, dict[str, str], dict[str, str | None]]] = {
    "anthropic-key": ("anthropic:m", {"ANTHROPIC_API_KEY": "k"}, {"x-api-key": "k"}),
    "anthropic-token": (
        "anthropic:m",
        {"ANTHROPIC_AUTH_TOKEN": "t"},
        {"authorization": "Bearer t", "x-api-key": None},
    ),
    "the-key-wins-over-the-token": (
        "anthropic:m",
        {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_AUTH_TOKEN": "t"},
        {"x-api-key": "k"},
    ),
    "an-empty-key-is-none": (
        "anthropic:m",
        {"ANTHROPIC_API_KEY": " ", "ANTHROPIC_AUTH_TOKEN": "t"},
        {"authorization": "Bearer t", "x-api-key": None},
    ),
    "anthropic-custom": (
        "anthropic:m",
        {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_CUSTOM_HEADERS": "X-Team: a:b \n\nno colon\nX-Api-Key:other"},
        {"x-team": "a:b", "x-api-key": "other", "no colon": None},
    ),
    "openai": (
        "openai:m",
        {"OPENAI_API_KEY": "k", "OPENAI_ORG_ID": "org-1", "OPENAI_PROJECT_ID": "proj_1"},
        {"authorization": "Bearer k", "openai-organization": "org-1", "openai-project": "proj_1"},
    ),
    "openai-custom": (
        "openai-chat:m",
        {"OPENAI_API_KEY": "k", "OPENAI_CUSTOM_HEADERS": "X-Team: a\nAuthorization: Basic b"},
        {"x-team": "a", "authorization": "Basic b"},
    ),
    "not-to-others": (
        "groq:m",
        {"GROQ_API_KEY": "k", "OPENAI_ORG_ID": "org-1", "OPENAI_CUSTOM_HEADERS": "X-Team: a"},
        {"authorization": "Bearer k", "openai-organization": None, "x-team": None},
    ),
}


@pytest.mark.anyio
@pytest.mark.parametrize("case", ENVIRONMENTS)
async def test_headers_from_the_environment_are_sent(case: str) -> None:
    model, environ, expected = ENVIRONMENTS[case]
    if model.startswith("groq"):
        with ModelServer([Turn("done")]) as server:
            async with asking(server, model, environ=environ, base_url=f"{server.url}/v1") as asker:
                await asker.ask("go")
            request = server.requests[0]
    else:
        request = await received(model, environ)
    assert {name: request.headers.get(name) for name in expected} == expected
    assert request.headers["user-agent"] == f"agent-runtime/{VERSION}"


@pytest.mark.anyio
async def test_the_headers_of_the_sdks_are_sent() -> None:
    """All that is not about an SDK itself: accept, content-type, the version of the API, the key."""
    sent: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(200, json={})

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    base = "https://gateway.example"
    await anthropic.AsyncAnthropic(api_key="k", base_url=base, http_client=http).post(
        "/v1/messages", body={}, cast_to=object
    )
    await openai.AsyncOpenAI(api_key="k", base_url=base, http_client=http).post(
        "/responses", body={}, cast_to=object
    )
    for request, format in zip(sent, ("anthropic", "openai-responses"), strict=True):
        ours = default_headers(format) | auth_headers(base, {}, format, "k")  # type: ignore[arg-type]
        theirs = {
            name: value
            for name, value in request.headers.items()
            if not name.startswith("x-stainless") and name not in ("user-agent", "host", "content-length")
        }
        by_the_client = {"accept-encoding", "connection"}
        assert theirs.items() - {(name, theirs[name]) for name in by_the_client} <= ours.items()
