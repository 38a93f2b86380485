"""The SDK of Anthropic sends the same to each cloud: method, path, body, and the headers that are not about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import pytest
from anthropic.lib.bedrock import AnthropicBedrock, AsyncAnthropicBedrock
from anthropic.lib.vertex import AnthropicVertex, AsyncAnthropicVertex

from agent_runtime.agent.model import ToolSpec
from agent_runtime.providers.endpoints import resolve
from agent_runtime.testing.model_server import ModelServer, Turn
from tests.providers.asking import asking, asking_at
from tests.providers.cloud_servers import (
    Answer,
    Received,
    as_frames,
    as_json,
    as_sse,
    chunks_of,
    serving,
    signature_problem,
)

pytestmark = pytest.mark.anyio
ID, SECRET, REGION = "AKIAEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-west-2"
BASH = ToolSpec("bash", "Run a command.", {"type": "object", "properties": {"command": {"type": "string"}}})
# headers of the SDK about itself, of the connection, and of one request
OWN = ("x-stainless", "user-agent", "host", "content-length", "connection", "accept-encoding", "traceparent")
PER_REQUEST = ("authorization", "x-amz-date")  # in a signature

Sdk = Callable[[str], Any]
BEDROCK = {"AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": ID, "AWS_SECRET_ACCESS_KEY": SECRET}
VERTEX = {"CLOUD_ML_REGION": REGION, "ANTHROPIC_VERTEX_PROJECT_ID": "example.com:p"}


def bedrock(url: str, **options: Any) -> Any:
    return AsyncAnthropicBedrock(base_url=url, aws_region=REGION, max_retries=0, **options)


def vertex(url: str) -> Any:
    return AsyncAnthropicVertex(
        base_url=f"{url}/v1", region=REGION, project_id="example.com:p", access_token="t", max_retries=0
    )


def foundry(url: str, **options: Any) -> Any:
    return anthropic.AsyncAnthropicFoundry(base_url=f"{url}/anthropic/", max_retries=0, **options)


async def entra_token() -> str:
    return "t"


CASES: dict[str, tuple[str, dict[str, str], Sdk]] = {
    "bedrock-key": (
        "bedrock:us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        {"AWS_REGION": REGION, "AWS_BEARER_TOKEN_BEDROCK": "k"},
        lambda url: bedrock(url, api_key="k"),
    ),
    "bedrock-signed": (
        "bedrock:global.anthropic.claude-opus-4-6-v1",
        BEDROCK,
        lambda url: bedrock(url, aws_access_key=ID, aws_secret_key=SECRET),
    ),
    "bedrock-session": (
        "bedrock:arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/ab1",
        BEDROCK | {"AWS_SESSION_TOKEN": "t"},
        lambda url: bedrock(url, aws_access_key=ID, aws_secret_key=SECRET, aws_session_token="t"),
    ),
    "vertex": (
        "vertex:claude-sonnet-4-5@20250929",
        VERTEX | {"ANTHROPIC_VERTEX_ACCESS_TOKEN": "t"},
        vertex,
    ),
    "vertex-odd-name": (
        "vertex:a b/c?d#e%f;g",
        VERTEX | {"ANTHROPIC_VERTEX_ACCESS_TOKEN": "t"},
        vertex,
    ),
    "foundry-key": (
        "foundry:my-deployment",
        {"ANTHROPIC_FOUNDRY_API_KEY": "k"},
        lambda url: foundry(url, api_key="k"),
    ),
    "foundry-token": (
        "foundry:claude-opus-4-6",
        {"ANTHROPIC_FOUNDRY_AUTH_TOKEN": "t"},
        lambda url: foundry(url, azure_ad_token_provider=entra_token),
    ),
}


async def plain_body(model: str) -> dict[str, Any]:
    """What is sent to Anthropic for a call of this model."""
    with ModelServer([Turn("done")], strict=False) as server:
        async with asking(server, f"anthropic:{model.partition(':')[2]}") as asker:
            await asker.ask("go", tools=[BASH])
        return dict(server.bodies[0])


def kept(request: Received, *, signed: bool) -> dict[str, str]:
    dropped = (*OWN, *(PER_REQUEST if signed else ()))
    return {name: value for name, value in request.headers.items() if not name.startswith(dropped)}


@pytest.mark.parametrize("case", CASES)
async def test_a_request_is_that_of_the_sdk(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_FOUNDRY_RESOURCE", raising=False)
    model, environ, sdk = CASES[case]
    answer = as_frames if model.startswith("bedrock") else as_sse

    def respond(request: Received) -> Answer:
        ours = request.headers["user-agent"].startswith("agent-runtime")
        return answer(chunks_of(Turn("done"))) if ours else as_json({})

    with serving(respond) as server:
        base = {
            "ANTHROPIC_BEDROCK_BASE_URL": server.url,
            "ANTHROPIC_VERTEX_BASE_URL": f"{server.url}/v1",
            "ANTHROPIC_FOUNDRY_BASE_URL": f"{server.url}/anthropic",
        }
        async with asking_at(model, base | environ) as asker:
            await asker.ask("go", tools=[BASH])
        async with sdk(server.url) as client:
            body = await plain_body(model)
            body |= {name: value for name, value in server.requests[0].body.items() if name in body}
            await client.post("/v1/messages", body=body, cast_to=object)
    ours, theirs = server.requests
    assert (ours.method, ours.path, ours.body) == (theirs.method, theirs.path, theirs.body)
    signed = case in ("bedrock-signed", "bedrock-session")
    assert kept(ours, signed=signed) == kept(theirs, signed=signed)
    if signed:
        problems = [signature_problem(request, {ID: SECRET}, REGION) for request in server.requests]
        assert problems == ["", ""]


@pytest.mark.parametrize("region", ["us-east5", "europe-west1", "global", "us", "eu"])
def test_the_address_of_a_region_is_that_of_the_sdk_at_vertex(region: str) -> None:
    theirs = AnthropicVertex(region=region, project_id="p", access_token="t")
    ours = resolve("vertex:m", {"CLOUD_ML_REGION": region})
    assert f"{ours.base_url}/" == str(theirs.base_url)


@pytest.mark.parametrize("region", ["us-east-1", "us-gov-west-1"])
def test_the_address_of_a_region_is_that_of_the_sdk_at_bedrock(region: str) -> None:
    theirs = AnthropicBedrock(aws_region=region, api_key="k")
    assert f"{resolve('bedrock:m', {'AWS_REGION': region}).base_url}" == str(theirs.base_url).rstrip("/")


def test_the_address_of_a_resource_is_that_of_the_sdk_at_foundry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_FOUNDRY_BASE_URL", raising=False)
    theirs = anthropic.AnthropicFoundry(resource="r", api_key="k")
    ours = resolve("foundry:m", {"ANTHROPIC_FOUNDRY_RESOURCE": "r"})
    assert f"{ours.base_url}/" == str(theirs.base_url)
