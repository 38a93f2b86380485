"""Models of Azure: its environment, the key in its own header, and tokens of Entra ID as bearer tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_runtime.providers.endpoints import resolve
from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.scripted import run_scripted
from tests.providers.asking import asking

KEY, TOKEN = {"AZURE_OPENAI_API_KEY": "k"}, {"AZURE_OPENAI_AD_TOKEN": "t"}


@pytest.mark.parametrize(
    ("endpoint", "base_url"),
    [
        ("https://r.openai.azure.com", "https://r.openai.azure.com/openai/v1"),
        ("https://r.openai.azure.com/", "https://r.openai.azure.com/openai/v1"),
        ("https://r.openai.azure.com/openai/v1/", "https://r.openai.azure.com/openai/v1"),
        ("https://r.services.ai.azure.com", "https://r.services.ai.azure.com/openai/v1"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/openai/v1"),
        ("https://gateway.example/azure/v1", "https://gateway.example/azure/v1"),
    ],
)
def test_the_address_is_that_of_the_resource(endpoint: str, base_url: str) -> None:
    assert resolve("azure:deployment", {"AZURE_OPENAI_ENDPOINT": endpoint}).base_url == base_url


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("environ", "headers"),
    [
        (KEY, {"api-key": "k", "authorization": None}),
        (TOKEN, {"api-key": None, "authorization": "Bearer t"}),
        (KEY | TOKEN, {"api-key": None, "authorization": "Bearer t"}),
    ],
)
@pytest.mark.parametrize("provider", ["azure", "azure-chat"])
async def test_a_request_carries_the_key_or_the_token(
    provider: str, environ: dict[str, str], headers: dict[str, str | None]
) -> None:
    with ModelServer([Turn("done")]) as server:
        environ = {"AZURE_OPENAI_ENDPOINT": server.url} | environ
        async with asking(server, f"{provider}:my-deployment", environ=environ) as asker:
            assert (await asker.ask("go")).message.text == "done"
    [request] = server.requests
    assert {name: request.headers.get(name) for name in headers} == headers
    assert request.body["model"] == "my-deployment"


def test_a_run_without_the_address_says_which_variable_is_missing(tmp_path: Path) -> None:
    done = run_scripted(
        [], tmp_path, env=KEY | {"AGENT_RUNTIME_MODEL": "azure:d"}, options=["--model", "azure:d"]
    )
    assert done.code == 2
    assert "AZURE_OPENAI_ENDPOINT" in done.of("error")[0]["message"]
