"""Models at Vertex AI with access tokens of Google Cloud: where they come from, and how they are renewed."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from anthropic._constants import ANTHROPIC_API_VERSION
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.compute_engine import _metadata

from agent_runtime.errors import ProviderError
from agent_runtime.testing.model_server import Turn
from tests.providers.asking import asking_at
from tests.providers.cloud_servers import (
    Answer,
    Received,
    as_json,
    as_sse,
    chunks_of,
    serving,
)
from tests.providers.google_tokens import Tokens, configure, service_account
from tests.support.waiting import until_async

pytestmark = pytest.mark.anyio
MODEL = "vertex:claude-sonnet-4-5@20250929"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without anything of Google Cloud."""
    for name in [name for name in os.environ if name.startswith(("GOOGLE_", "CLOUDSDK_", "GCE_", "GCLOUD_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("PATH", str(tmp_path))  # without gcloud
    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", "127.0.0.1:1")
    monkeypatch.setenv("GCE_METADATA_IP", "127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def environ_at(url: str) -> dict[str, str]:
    return {"ANTHROPIC_VERTEX_BASE_URL": f"{url}/v1", "CLOUD_ML_REGION": "us-east5"}


PROJECTS = {
    "file": "of-the-account",
    "login": "of-the-account",
    "workload": "of-the-environment",
    "machine": "of-the-machine",
}


@pytest.mark.parametrize("place", PROJECTS)
async def test_tokens_are_found_and_reported(
    place: str, key: rsa.RSAPrivateKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, reported = Tokens(key), list[str]()
    with serving(tokens.answer) as other, serving(tokens.model) as server:
        variables = configure(place, tokens, other.url, tmp_path)
        if place == "machine":  # the variable is read when the module is imported
            monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", variables["GCE_METADATA_HOST"])
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        environ = environ_at(server.url) | variables
        async with asking_at(MODEL, environ, report_secrets=reported.extend) as asker:
            for _ in range(2):
                assert (await asker.ask("go")).message.text == "done"
    assert len(tokens.given) == 1 and tokens.given[0] in reported
    if place in ("file", "login"):
        assert service_account(tokens, "")["private_key"] in reported
    request = server.requests[0]
    models = "publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict"
    assert request.path == f"/v1/projects/{PROJECTS[place]}/locations/us-east5/{models}"
    assert "anthropic-version" not in request.headers and "x-api-key" not in request.headers
    assert request.body["anthropic_version"] == ANTHROPIC_API_VERSION and request.body["stream"] is True
    assert "model" not in request.body


async def test_a_token_in_the_environment_is_sent() -> None:
    tokens = Tokens(rsa.generate_private_key(public_exponent=65537, key_size=2048), given=["a-token"])
    with serving(tokens.model) as server:
        project = {"ANTHROPIC_VERTEX_PROJECT_ID": "p", "ANTHROPIC_VERTEX_ACCESS_TOKEN": "a-token"}
        async with asking_at(MODEL, environ_at(server.url) | project) as asker:
            assert (await asker.ask("go")).message.text == "done"


async def test_a_header_of_the_environment_is_sent_in_place_of_a_token() -> None:
    with serving(lambda _: as_sse(chunks_of(Turn("done")))) as server:
        custom = {"ANTHROPIC_CUSTOM_HEADERS": "Authorization: Basic x", "ANTHROPIC_VERTEX_PROJECT_ID": "p"}
        async with asking_at(MODEL, environ_at(server.url) | custom) as asker:
            await asker.ask("go")
    assert server.requests[0].headers["authorization"] == "Basic x"


@pytest.mark.parametrize("seconds", [3600, 60])
async def test_a_token_is_renewed_before_it_expires(
    seconds: int, key: rsa.RSAPrivateKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(key, seconds)
    with serving(tokens.answer) as other, serving(tokens.model) as server:
        (variable,) = configure("file", tokens, other.url, tmp_path).items()
        monkeypatch.setenv(*variable)
        async with asking_at(MODEL, environ_at(server.url)) as asker:
            for _ in range(3):
                await asker.ask("go")
    assert len(tokens.given) == (1 if seconds == 3600 else 3)


@pytest.mark.parametrize("again", [False, True])
async def test_a_refused_token_is_renewed_once(
    again: bool, key: rsa.RSAPrivateKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(key)
    tokens.refused |= {f"ya29.a-token-{number}" for number in range(2 if again else 1)}
    with serving(tokens.answer) as other, serving(tokens.model) as server:
        (variable,) = configure("file", tokens, other.url, tmp_path).items()
        monkeypatch.setenv(*variable)
        async with asking_at(MODEL, environ_at(server.url)) as asker:
            if again:
                with pytest.raises(ProviderError) as failed:
                    await asker.ask("go")
                assert (failed.value.code, failed.value.retryable) == ("authentication_error", False)
            else:
                assert (await asker.ask("go")).message.text == "done"
    assert len(server.requests) == len(tokens.given) == 2


def answered(status: int, body: Any) -> Callable[[Received], Answer]:
    return lambda request: as_json(body, status)


@pytest.mark.parametrize(
    ("status", "body", "code", "retryable"),
    [
        (400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, "authentication_error", False),
        (401, {"error": "unauthorized_client"}, "authentication_error", False),
        (503, {"error": "temporarily_unavailable"}, "provider_error", True),
    ],
)  # fmt: skip
async def test_without_a_token_a_call_fails(
    status: int,
    body: Any,
    code: str,
    retryable: bool,
    key: rsa.RSAPrivateKey,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda seconds: None)
    with serving(answered(status, body)) as other:
        (variable,) = configure("file", Tokens(key), other.url, tmp_path).items()
        monkeypatch.setenv(*variable)
        async with asking_at(MODEL, {"CLOUD_ML_REGION": "global"}) as asker:
            with pytest.raises(ProviderError, match="access token") as failed:
                await asker.ask("go")
    assert (failed.value.code, failed.value.retryable) == (code, retryable)


@pytest.mark.parametrize(
    "content",
    [
        None,
        "no JSON",
        "{}",
        "[]",
        '{"type": "service_account"}',
        '{"type": "external_account"}',
        '{"type": "authorized_user"}',
    ],
)
async def test_without_usable_credentials_a_call_says_what_is_missing(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "credentials.json"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    async with asking_at(MODEL, {"CLOUD_ML_REGION": "global"}) as asker:
        with pytest.raises(ProviderError, match=r"ANTHROPIC_VERTEX_ACCESS_TOKEN is not set.*json") as failed:
            await asker.ask("go")
    assert (failed.value.code, failed.value.retryable) == ("authentication_error", False)


async def test_without_a_project_a_call_says_which_variable_is_missing() -> None:
    environ = {"CLOUD_ML_REGION": "global", "ANTHROPIC_VERTEX_ACCESS_TOKEN": "t"}
    async with asking_at(MODEL, environ) as asker:
        with pytest.raises(ProviderError, match="ANTHROPIC_VERTEX_PROJECT_ID"):
            await asker.ask("go")


async def test_without_the_library_a_call_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "agent_runtime.providers.google_credentials", raising=False)
    monkeypatch.setitem(sys.modules, "google.auth", None)
    async with asking_at(MODEL, {"CLOUD_ML_REGION": "global"}) as asker:
        with pytest.raises(ProviderError, match=r"agent-runtime\[vertex\].*ANTHROPIC_VERTEX_ACCESS_TOKEN"):
            await asker.ask("go")


async def test_a_call_can_be_cancelled_while_a_token_is_waited_for(
    key: rsa.RSAPrivateKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    def silent(request: Received) -> Answer:
        gate.wait(60)
        return Answer(400)  # which is not tried again

    with serving(silent) as other:
        (variable,) = configure("file", Tokens(key), other.url, tmp_path).items()
        monkeypatch.setenv(*variable)
        try:
            async with (
                asking_at(MODEL, {"CLOUD_ML_REGION": "global"}) as asker,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(asker.ask, "go")
                await until_async(lambda: other.requests)
                tasks.cancel_scope.cancel()
            assert not gate.is_set()
        finally:
            gate.set()


@pytest.mark.parametrize(
    ("status", "error", "code", "retryable"),
    [
        (429, {"code": 429, "message": "Resource exhausted.", "status": "RESOURCE_EXHAUSTED"}, "rate_limited", True),
        (429, {"code": 429, "message": "Quota exceeded for aiplatform.googleapis.com/online_prediction_requests_per_"
               "base_model with base model: anthropic-claude-sonnet-4-5. Please submit a quota increase request.",
               "status": "RESOURCE_EXHAUSTED"}, "rate_limited", True),
        (503, {"code": 503, "message": "Unavailable.", "status": "UNAVAILABLE"}, "overloaded", True),
        (529, {"type": "overloaded_error", "message": "Overloaded"}, "overloaded", True),
        (403, {"code": 403, "message": "Denied.", "status": "PERMISSION_DENIED"}, "permission_denied", False),
        (404, {"code": 404, "message": "Model was not found.", "status": "NOT_FOUND"}, "model_not_found", False),
        (400, {"code": 400, "message": "Bad.", "status": "INVALID_ARGUMENT"}, "provider_error", False),
        (504, {"code": 504, "message": "Late.", "status": "DEADLINE_EXCEEDED"}, "provider_timeout", True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("wrapped", [False, True])
async def test_errors_of_google_are_known(
    status: int, error: Mapping[str, Any], code: str, retryable: bool, wrapped: bool
) -> None:
    body = {"error": error}
    with serving(answered(status, [body] if wrapped else body)) as server:
        token = {"ANTHROPIC_VERTEX_ACCESS_TOKEN": "t", "ANTHROPIC_VERTEX_PROJECT_ID": "p"}
        async with asking_at(MODEL, environ_at(server.url) | token) as asker:
            with pytest.raises(ProviderError) as failed:
                await asker.ask("go")
    assert (failed.value.code, failed.value.retryable) == (code, retryable)
