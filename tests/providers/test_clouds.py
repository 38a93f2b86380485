"""Where the models of clouds are, by the environment; their streams have the events of the Messages format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.agent.model import Turn as ModelTurn
from agent_runtime.errors import ProviderError, RequestError
from agent_runtime.protocol.messages import Usage
from agent_runtime.providers.clouds import cloud_variables
from agent_runtime.providers.endpoint_checks import check_address
from agent_runtime.providers.endpoints import rekeyed, resolve
from agent_runtime.providers.keys import file_names, secret_names
from agent_runtime.providers.models import find_model
from agent_runtime.providers.prices import PriceTable
from agent_runtime.testing.model_server import ModelServer, Turn
from tests.providers.asking import asking, asking_at
from tests.providers.cloud_servers import as_frames, as_sse, serving

STREAMS = sorted((Path(__file__).parents[1] / "data" / "streams" / "anthropic").glob("*.jsonl"))
AZURE = "https://r.services.ai.azure.com"


@pytest.mark.parametrize(
    ("model", "environ", "base_url"),
    [
        ("bedrock:m", {"AWS_REGION": "eu-west-1"}, "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        ("bedrock:m", {"AWS_DEFAULT_REGION": " x-1 "}, "https://bedrock-runtime.x-1.amazonaws.com"),
        ("bedrock:m", {"ANTHROPIC_BEDROCK_BASE_URL": "http://h/p/"}, "http://h/p"),
        ("vertex:m", {"ANTHROPIC_VERTEX_BASE_URL": "http://h/v1/", "CLOUD_ML_REGION": "r"}, "http://h/v1"),
        ("vertex:m", {"ANTHROPIC_VERTEX_BASE_URL": "http://h", "CLOUD_ML_REGION": "global"}, "http://h"),
        ("foundry:m", {"ANTHROPIC_FOUNDRY_RESOURCE": "r"}, f"{AZURE}/anthropic"),
        ("foundry:m", {"ANTHROPIC_FOUNDRY_BASE_URL": f"{AZURE}/anthropic/"}, f"{AZURE}/anthropic"),
        ("foundry:m", {"ANTHROPIC_FOUNDRY_BASE_URL": f"{AZURE}/anthropic/v1/messages"}, f"{AZURE}/anthropic"),
        ("foundry:m", {"ANTHROPIC_FOUNDRY_BASE_URL": AZURE}, f"{AZURE}/anthropic"),
        ("foundry:m", {"ANTHROPIC_FOUNDRY_BASE_URL": "http://h/"}, "http://h"),
        (
            "foundry:m",
            {"ANTHROPIC_FOUNDRY_BASE_URL": "http://h", "ANTHROPIC_FOUNDRY_RESOURCE": "r"},
            "http://h",
        ),
    ],
)
def test_the_environment_says_where_the_models_are(
    model: str, environ: Mapping[str, str], base_url: str
) -> None:
    assert resolve(model, environ).base_url == base_url


@pytest.mark.parametrize(
    ("profile", "region"),
    [("", "eu-central-1"), ("work", "us-west-2"), ("empty", ""), ("nobody", "")],
)
def test_the_region_of_a_profile_counts_where_no_variable_has_one(
    profile: str, region: str, tmp_path: Path
) -> None:
    (tmp_path / ".aws").mkdir()
    config = "[default]\nregion = eu-central-1\n[profile work]\nregion=us-west-2\n[profile empty]\nx = %y\n"
    (tmp_path / ".aws" / "config").write_text(config)
    environ = {"HOME": str(tmp_path), "AWS_PROFILE": profile}
    assert resolve("bedrock:m", environ).region == region
    assert resolve("bedrock:m", environ | {"AWS_REGION": "r"}).region == "r"


@pytest.mark.parametrize("content", ["no section", "[default]\nregion", "\udcff", "[default\n"])
def test_a_configuration_that_cannot_be_read_gives_no_region(content: str, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(content, errors="surrogateescape")
    assert resolve("bedrock:m", {"AWS_CONFIG_FILE": str(file)}).region == ""


@pytest.mark.parametrize(
    ("model", "environ", "variable", "words"),
    [
        ("bedrock:m", {}, "ANTHROPIC_BEDROCK_BASE_URL", "AWS_REGION"),
        ("bedrock:m", {"ANTHROPIC_BEDROCK_BASE_URL": "http://h"}, "AWS_REGION", "region"),
        ("bedrock:m", {"AWS_REGION": "h/../?"}, "AWS_REGION", "us-east-1"),
        ("vertex:m", {}, "CLOUD_ML_REGION", "global"),
        ("vertex:m", {"ANTHROPIC_VERTEX_BASE_URL": "http://h"}, "CLOUD_ML_REGION", "global"),
        ("vertex:m", {"CLOUD_ML_REGION": "a.example#"}, "CLOUD_ML_REGION", "name of a region"),
        ("foundry:m", {}, "ANTHROPIC_FOUNDRY_BASE_URL", "ANTHROPIC_FOUNDRY_RESOURCE"),
        ("azure:m", {}, "AZURE_OPENAI_ENDPOINT", "http"),
    ],
)
def test_what_is_missing_in_the_environment_is_named(
    model: str, environ: Mapping[str, str], variable: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=words) as refused:
        check_address(resolve(model, {"HOME": str(tmp_path)} | dict(environ)))
    assert refused.value.field == variable


def test_a_key_of_bedrock_needs_no_region_at_another_address() -> None:
    environ = {"ANTHROPIC_BEDROCK_BASE_URL": "http://h", "AWS_BEARER_TOKEN_BEDROCK": "k"}
    endpoint = resolve("bedrock:m", environ)
    check_address(endpoint)
    assert (endpoint.base_url, endpoint.region) == ("http://h", "")


@pytest.mark.parametrize(
    "name",
    [
        "vertex:claude-sonnet-4-5@20250929",
        "bedrock:us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "bedrock:arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "foundry:claude-sonnet-4-5",
    ],
)
def test_a_model_is_known_by_its_name_in_each_cloud(name: str) -> None:
    endpoint = resolve(name, {})
    assert endpoint.model_row == find_model("claude-sonnet-4-5") and endpoint.tool_family == "claude"
    usage = Usage(input_tokens=1_000_000)
    cost = PriceTable({}).cost(endpoint.provider, endpoint.model, "", usage)
    assert cost is not None and 2.9 < cost < 6.7  # the price of a region or a long prompt may differ


def test_a_deployment_of_any_name_has_the_tools_of_the_format() -> None:
    assert resolve("foundry:ours", {}).tool_family == "claude"


def test_credentials_of_a_fork_replace_those_of_its_origin() -> None:
    old = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}
    new = {"AWS_ACCESS_KEY_ID": "d", "AWS_SECRET_ACCESS_KEY": "e"}
    assert rekeyed(resolve("bedrock:m", old), new).credentials == new
    assert rekeyed(resolve("bedrock:m", old), {"OPENAI_API_KEY": "k"}).credentials == old
    with_key = resolve("bedrock:m", {"AWS_BEARER_TOKEN_BEDROCK": "k"})
    assert rekeyed(with_key, new) == with_key
    assert rekeyed(resolve("bedrock:m", old), {"AWS_BEARER_TOKEN_BEDROCK": "k"}).api_key == "k"


@pytest.mark.parametrize(
    ("model", "environ", "secrets", "files"),
    [
        ("bedrock:m", {}, {"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}, set()),
        ("bedrock:m", {"AWS_BEARER_TOKEN_BEDROCK": "k"}, set(), set()),
        ("vertex:m", {}, set(), {"GOOGLE_APPLICATION_CREDENTIALS"}),
        ("vertex:m", {"ANTHROPIC_VERTEX_ACCESS_TOKEN": "t"}, set(), set()),
        ("foundry:m", {}, {"AZURE_CLIENT_SECRET"}, set()),
        ("azure:m", {"AZURE_OPENAI_AD_TOKEN": "t"}, set(), set()),
        ("anthropic:m", {}, set(), set()),
    ],
)
def test_variables_are_secret_where_they_authorize_requests(
    model: str, environ: Mapping[str, str], secrets: set[str], files: set[str]
) -> None:
    endpoints = [resolve("openai:m", {}), resolve(model, environ)]
    found = secret_names(endpoints)
    assert found >= secrets | {"ANTHROPIC_API_KEY", "AWS_BEARER_TOKEN_BEDROCK", "ANTHROPIC_FOUNDRY_API_KEY"}
    assert bool(found & cloud_variables()) is bool(secrets)
    assert file_names(endpoints) == files


async def outcome_of(asker: Any) -> ModelTurn | str:
    try:
        turn: ModelTurn = await asker.ask("go")
    except ProviderError as error:
        return f"{error.code}: {error.message}"
    return turn


@pytest.mark.anyio
@pytest.mark.parametrize("cloud", ["bedrock", "vertex", "foundry"])
@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
async def test_every_stream_gives_the_same_turn_in_each_cloud(cloud: str, path: Path) -> None:
    chunks = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    with ModelServer([Turn(raw=path)]) as server:
        async with asking(server, "anthropic:claude-sonnet-4-5") as asker:
            expected = await outcome_of(asker)
    answer = (as_frames if cloud == "bedrock" else as_sse)(chunks)
    with serving(lambda _: answer) as cloud_server:
        environ = {
            f"ANTHROPIC_{cloud.upper()}_BASE_URL": cloud_server.url,
            "AWS_BEARER_TOKEN_BEDROCK": "k",
            "ANTHROPIC_VERTEX_ACCESS_TOKEN": "k",
            "ANTHROPIC_FOUNDRY_API_KEY": "k",
            "CLOUD_ML_REGION": "global",
            "ANTHROPIC_VERTEX_PROJECT_ID": "p",
        }
        async with asking_at(f"{cloud}:claude-sonnet-4-5", environ) as asker:
            assert await outcome_of(asker) == expected
