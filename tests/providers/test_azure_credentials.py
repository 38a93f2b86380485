"""Models at Azure and Foundry with tokens of Entra ID, which a managed identity or a service principal gives."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from azure.core.credentials import AccessToken

from agent_runtime.errors import ProviderError
from agent_runtime.providers import azure_credentials
from agent_runtime.testing.model_server import ModelServer, Turn
from tests.providers.asking import asking_at
from tests.providers.cloud_servers import Answer, Received, as_json, as_sse, chunks_of, serving
from tests.support.waiting import until_async

pytestmark = pytest.mark.anyio
SCOPES = {"foundry": "https://ai.azure.com", "azure": "https://cognitiveservices.azure.com"}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without anything of Azure."""
    for name in [name for name in os.environ if name.startswith(("AZURE_", "IDENTITY_", "MSI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))  # without the tools of Azure, which may have a login
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@dataclass
class Identity:
    """The endpoint of a managed identity."""

    seconds: int = 3600
    given: list[str] = field(default_factory=list)
    resources: set[str] = field(default_factory=set)
    refused: int = 0  # the first tokens are not accepted by the model

    def answer(self, request: Received) -> Answer:
        """Give a token."""
        if request.headers.get("x-identity-header") != "a-secret":
            return Answer(401)
        [resource] = parse_qs(urlsplit(request.path).query)["resource"]
        self.resources.add(resource)
        self.given.append(f"a-token-{len(self.given)}")
        expires = str(int(time.time()) + self.seconds)
        token = {"access_token": self.given[-1], "expires_on": expires, "resource": resource}
        return as_json(token | {"token_type": "Bearer"})

    def model(self, request: Received) -> Answer:
        """Answer as the model, where the token is valid."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.given[self.refused :]:
            return as_json({"error": {"code": "401", "message": "Access denied."}}, 401)
        return as_sse(chunks_of(Turn("done")))


def use(identity_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{identity_url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "a-secret")


async def test_a_token_is_found_kept_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    identity, reported = Identity(), list[str]()
    with serving(identity.answer) as other, serving(identity.model) as server:
        use(other.url, monkeypatch)
        environ = {"ANTHROPIC_FOUNDRY_BASE_URL": f"{server.url}/anthropic"}
        async with asking_at("foundry:ours", environ, report_secrets=reported.extend) as asker:
            for _ in range(2):
                assert (await asker.ask("go")).message.text == "done"
    assert (identity.given, reported) == (["a-token-0"], ["a-token-0"])
    assert identity.resources == {SCOPES["foundry"]}
    assert not {"x-api-key", "api-key"} & server.requests[0].headers.keys()
    assert server.requests[0].path == "/anthropic/v1/messages"


async def test_the_models_of_openai_have_tokens_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    identity = Identity()
    with serving(identity.answer) as other, ModelServer([Turn("done")]) as server:
        use(other.url, monkeypatch)
        async with asking_at("azure:ours", {"AZURE_OPENAI_ENDPOINT": server.url}) as asker:
            assert (await asker.ask("go")).message.text == "done"
    assert server.requests[0].headers["authorization"] == "Bearer a-token-0"
    assert identity.resources == {SCOPES["azure"]}


@pytest.mark.parametrize("refused", [1, 2])
async def test_a_refused_token_is_replaced_once(refused: int, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = Identity(refused=refused)
    with serving(identity.answer) as other, serving(identity.model) as server:
        use(other.url, monkeypatch)
        async with asking_at("foundry:ours", {"ANTHROPIC_FOUNDRY_BASE_URL": server.url}) as asker:
            if refused == 1:
                assert (await asker.ask("go")).message.text == "done"
            else:
                with pytest.raises(ProviderError) as failed:
                    await asker.ask("go")
                assert (failed.value.code, failed.value.retryable) == ("authentication_error", False)
    assert len(server.requests) == len(identity.given) == 2


async def test_a_service_principal_is_used_whose_secret_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[Any] = []

    class Principal:
        def __init__(self, *of: str) -> None:
            used.append(of)

        def get_token(self, scope: str) -> AccessToken:
            used.append(scope)
            return AccessToken("a-token", int(time.time()) + 3600)

    monkeypatch.setattr(azure_credentials, "ClientSecretCredential", Principal)
    monkeypatch.setenv("AZURE_TENANT_ID", "t")
    monkeypatch.setenv("AZURE_CLIENT_ID", "c")
    with serving(lambda _: as_sse(chunks_of(Turn("done")))) as server:
        environ = {"ANTHROPIC_FOUNDRY_BASE_URL": server.url, "AZURE_CLIENT_SECRET": "s"}
        async with asking_at("foundry:ours", environ) as asker:
            await asker.ask("go")
    assert used == [("t", "c", "s"), f"{SCOPES['foundry']}/.default"]
    assert server.requests[0].headers["authorization"] == "Bearer a-token"


@pytest.mark.parametrize("provider", ["foundry", "azure"])
async def test_without_a_token_a_call_says_what_is_missing(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(lambda _: as_json({"error": "no"}, 400)) as other:
        use(other.url, monkeypatch)
        environ = {"ANTHROPIC_FOUNDRY_RESOURCE": "r", "AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:1"}
        async with asking_at(f"{provider}:ours", environ) as asker:
            with pytest.raises(
                ProviderError, match=r"_API_KEY is not set, and no token of Entra ID"
            ) as failed:
                await asker.ask("go")
    assert (failed.value.code, failed.value.retryable) == ("authentication_error", False)


async def test_without_the_library_a_call_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "agent_runtime.providers.azure_credentials", raising=False)
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    async with asking_at("foundry:ours", {"ANTHROPIC_FOUNDRY_RESOURCE": "r"}) as asker:
        with pytest.raises(ProviderError, match=r"agent-runtime\[azure\].*ANTHROPIC_FOUNDRY_API_KEY"):
            await asker.ask("go")


async def test_a_call_can_be_cancelled_while_a_token_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def silent(request: Received) -> Answer:
        gate.wait(60)
        return Answer(400)  # which is not tried again

    with serving(silent) as other:
        use(other.url, monkeypatch)
        environ = {"ANTHROPIC_FOUNDRY_RESOURCE": "r"}
        try:
            async with asking_at("foundry:ours", environ) as asker, anyio.create_task_group() as tasks:
                tasks.start_soon(asker.ask, "go")
                await until_async(lambda: other.requests)
                tasks.cancel_scope.cancel()
            assert not gate.is_set()
        finally:
            gate.set()
