"""Requests signed with credentials of AWS: from every place that has them, and with those that replace expired ones."""

from __future__ import annotations

import json
import os
import shlex
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent_runtime.errors import ProviderError
from agent_runtime.providers import authorization
from agent_runtime.testing.model_server import Turn
from tests.providers.asking import asking_at
from tests.providers.cloud_servers import (
    Answer,
    Received,
    as_frames,
    as_json,
    chunks_of,
    serving,
    signature_problem,
)
from tests.support.waiting import until_async

pytestmark = pytest.mark.anyio
MODEL = "bedrock:us.anthropic.claude-sonnet-4-5-20250929-v1:0"
REGION = "eu-west-1"
SECRETS = {f"AKIAEXAMPLE{name}": f"wJalrXUtnFEMI/K7MDENG+bPxRfiCY{name * 10}" for name in "ABCD"}
A, B, *_ = SECRETS
PLACES = ("environment", "session", "profile", "process", "container", "machine")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without anything of AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def model(request: Received) -> Answer:
    """Answers requests whose signature is right."""
    if problem := signature_problem(request, SECRETS, REGION):
        return as_json({"message": problem}, 403, x_amzn_ErrorType="InvalidSignatureException")
    return as_frames(chunks_of(Turn("done")))


def credentials(id: str = A, *, token: str = "a-session-token", minutes: int = 60) -> dict[str, Any]:
    """Credentials as the endpoints of containers and machines give them."""
    until = (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "Code": "Success",
        "Version": 1,
        "Type": "AWS-HMAC",
        "AccessKeyId": id,
        "SecretAccessKey": SECRETS[id],
        "Token": token,
        "SessionToken": token,
        "Expiration": until,
        "LastUpdated": "2026-01-01T00:00:00Z",
    }


def machine(request: Received) -> Answer:
    """The endpoints of a container, with its own token, and of a machine, with version 2 of its service."""
    if request.path == "/container":
        allowed = request.headers.get("authorization") == "a-container-token"
        return as_json(credentials() if allowed else {}, 200 if allowed else 401)
    if request.method == "PUT":
        return Answer(200, b"of-the-machine")
    if request.headers.get("x-aws-ec2-metadata-token") != "of-the-machine":
        return Answer(401)
    return as_json(credentials()) if request.path.endswith("/a-role") else Answer(200, b"a-role")


def environment(place: str, url: str, folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The variables of a place: those that stay in the environment of the process, and those that do not."""
    keys = {"AWS_ACCESS_KEY_ID": A, "AWS_SECRET_ACCESS_KEY": SECRETS[A]}
    if place in ("environment", "session"):
        return {}, keys | ({"AWS_SESSION_TOKEN": "a-session-token"} if place == "session" else {})
    if place == "container":
        secret = {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "a-container-token"}
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/container"}, secret
    if place == "machine":
        return {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": url}, {}
    config, shared = folder / "config", folder / "credentials"
    if place == "process":
        (folder / "answer.json").write_text(json.dumps(credentials()))
        command = shlex.join(["cat", str(folder / "answer.json")])
        config.write_text(f"[profile models]\ncredential_process = {command}\n")
    else:
        shared.write_text(f"[models]\naws_access_key_id = {A}\naws_secret_access_key = {SECRETS[A]}\n")
    named = {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": str(shared)}
    return {"AWS_PROFILE": "models", **named}, {}


@pytest.mark.parametrize("place", PLACES)
async def test_credentials_are_found_and_reported(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[str] = []
    with serving(machine) as other, serving(model) as server:
        kept, secret = environment(place, other.url, tmp_path)
        for name, value in kept.items():
            monkeypatch.setenv(name, value)
        environ = {"AWS_REGION": REGION, "ANTHROPIC_BEDROCK_BASE_URL": server.url} | kept | secret
        async with asking_at(MODEL, environ, report_secrets=reported.extend) as asker:
            for _ in range(2):
                assert (await asker.ask("go")).message.text == "done"
    has_token = place not in ("environment", "profile")
    assert reported == [SECRETS[A], *(["a-session-token"] if has_token else [])]
    assert ["x-amz-security-token" in request.headers for request in server.requests] == [has_token] * 2
    assert "x-api-key" not in server.requests[0].headers


async def test_a_request_is_signed_for_its_query_and_the_id_of_its_model() -> None:
    name = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a b+c"
    with serving(model) as server:
        environ = {
            "AWS_REGION": REGION,
            "ANTHROPIC_BEDROCK_BASE_URL": f"{server.url}/gate%20way/?b=2&a=x%20y",
            "AWS_ACCESS_KEY_ID": A,
            "AWS_SECRET_ACCESS_KEY": SECRETS[A],
        }
        async with asking_at(f"bedrock:{name}", environ) as asker:
            assert (await asker.ask("go")).message.text == "done"


async def test_credentials_that_expire_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each lives for five minutes only, in which the next ones are fetched already."""
    ids = iter(SECRETS)
    with serving(lambda _: as_json(credentials(next(ids), minutes=5))) as other, serving(model) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", other.url)
        environ = {"AWS_REGION": REGION, "ANTHROPIC_BEDROCK_BASE_URL": server.url}
        async with asking_at(MODEL, environ) as asker:
            for _ in range(2):
                await asker.ask("go")
    signed = [request.headers["authorization"].partition("Credential=")[2] for request in server.requests]
    used = [text.partition("/")[0] for text in signed]
    assert len({*used}) == 2, used


@pytest.mark.parametrize(
    ("kind", "status"),
    [("ExpiredTokenException", 403), ("UnrecognizedClientException:http://x/", 403), ("", 401)],
)
async def test_refused_credentials_are_found_anew_once(kind: str, status: int, tmp_path: Path) -> None:
    file = tmp_path / ".aws" / "credentials"
    file.parent.mkdir()

    def write(id: str) -> None:
        file.write_text(f"[default]\naws_access_key_id = {id}\naws_secret_access_key = {SECRETS[id]}\n")

    def changing(request: Received) -> Answer:
        if A in request.headers["authorization"]:
            write(B)
            return as_json({"message": "expired"}, status, x_amzn_ErrorType=kind)
        return model(request)

    write(A)
    with serving(changing) as server:
        environ = {"AWS_REGION": REGION, "ANTHROPIC_BEDROCK_BASE_URL": server.url}
        async with asking_at(MODEL, environ) as asker:
            assert (await asker.ask("go")).message.text == "done"
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("kind", "code", "requests"),
    [
        ("AccessDeniedException", "permission_denied", 1),
        ("UnrecognizedClientException", "authentication_error", 2),
    ],
)
async def test_credentials_that_stay_refused_are_an_error(kind: str, code: str, requests: int) -> None:
    refused = as_json({"message": "No."}, 403, x_amzn_ErrorType=kind)
    with serving(lambda _: refused) as server:
        environ = environment("environment", "", Path())[1]
        environ |= {"AWS_REGION": REGION, "ANTHROPIC_BEDROCK_BASE_URL": server.url}
        async with asking_at(MODEL, environ) as asker:
            with pytest.raises(ProviderError) as failed:
                await asker.ask("go")
    assert (failed.value.code, failed.value.retryable, len(server.requests)) == (code, False, requests)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "no credentials of AWS were found: set AWS_BEARER_TOKEN_BEDROCK"),
        ({"AWS_ACCESS_KEY_ID": A}, "AWS_SECRET_ACCESS_KEY"),
        ({"AWS_PROFILE": "nobody"}, "nobody"),
    ],
)
async def test_without_credentials_a_call_says_what_is_missing(
    environ: Mapping[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    async with asking_at(MODEL, {"AWS_REGION": REGION} | dict(environ)) as asker:
        with pytest.raises(ProviderError, match=words) as failed:
            await asker.ask("go")
    assert (failed.value.code, failed.value.retryable) == ("authentication_error", False)


async def test_without_the_library_a_call_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "agent_runtime.providers.aws_credentials", raising=False)
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    async with asking_at(MODEL, {"AWS_REGION": REGION}) as asker:
        with pytest.raises(ProviderError, match=r"agent-runtime\[bedrock\].*AWS_BEARER_TOKEN_BEDROCK"):
            await asker.ask("go")


async def test_a_call_can_be_cancelled_while_credentials_are_sought(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def silent(request: Received) -> Answer:
        gate.wait(60)
        return Answer(400)  # which is not tried again

    with serving(silent) as other:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", other.url)
        try:
            async with asking_at(MODEL, {"AWS_REGION": REGION}) as asker, anyio.create_task_group() as tasks:
                tasks.start_soon(asker.ask, "go")
                await until_async(lambda: other.requests)
                tasks.cancel_scope.cancel()
            assert not gate.is_set()
        finally:
            gate.set()


async def test_credentials_are_not_waited_for_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authorization, "CONNECT_SECONDS", 0.05)
    gate = threading.Event()

    def silent(request: Received) -> Answer:
        gate.wait(60)
        return Answer(400)  # which is not tried again

    with serving(silent) as other:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", other.url)
        try:
            async with asking_at(MODEL, {"AWS_REGION": REGION}) as asker:
                with pytest.raises(ProviderError, match=r"not found within 0.05 s") as failed:
                    await asker.ask("go")
        finally:
            gate.set()
    assert (failed.value.code, failed.value.retryable) == ("provider_timeout", True)


@pytest.mark.parametrize(
    ("method", "signature"),
    [
        ("GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ],
)
def test_the_check_of_signatures_knows_those_of_amazon(method: str, signature: str) -> None:
    """The examples get-vanilla and post-vanilla of Amazon's test suite for Signature Version 4."""
    secrets = {"AKIDEXAMPLE": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
    scope = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"

    def problem(signature: str) -> str:
        text = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={signature}"
        headers = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z", "authorization": text}
        return signature_problem(Received(method, "/", headers, b""), secrets, "us-east-1", "service")

    assert problem(signature) == ""
    assert problem(signature[::-1]) == "the signature is wrong"
