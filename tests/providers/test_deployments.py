"""Names that users choose: the model behind them decides what is sent and which tools are offered."""

from __future__ import annotations

from typing import Any

import pytest

from agent_runtime.agent.model import ModelCall
from agent_runtime.errors import RequestError
from agent_runtime.protocol.messages import Usage, UserMessage
from agent_runtime.providers.connect import wire_for
from agent_runtime.providers.deployments import VARIABLE, deployments
from agent_runtime.providers.endpoints import resolve
from agent_runtime.providers.models import find_model
from agent_runtime.providers.prices import PriceTable

ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1"
LISTED = {
    VARIABLE: "azure:team-a=gpt-5.2, azure-chat:team-a=gpt-4.1,team-a = deepseek-v3,prod=claude-sonnet-4-6,"
    f"{ARN}=claude-haiku-4-5,o=o3,"
}
CUSTOM = {"provider": "custom", "endpoint": "https://gateway.example/v1", "name": "prod"}


@pytest.mark.parametrize(
    ("model", "base", "family"),
    [
        ("azure:team-a", "gpt-5.2", "codex"),
        ("azure-chat:team-a", "gpt-4.1", "codex"),
        ("openrouter:team-a", "deepseek-v3", "platform"),
        ("openai-chat:prod", "claude-sonnet-4-6", "claude"),
        ("foundry:prod", "claude-sonnet-4-6", "claude"),
        (CUSTOM, "claude-sonnet-4-6", "claude"),
        (f"bedrock:{ARN}", "claude-haiku-4-5", "claude"),
        ("azure:other", "", "codex"),
        ("azure-chat:other", "", "codex"),
        ("azure:DeepSeek-V3.1", "", "platform"),
        ("azure-chat:Llama-3.3-70B", "", "platform"),
        ("azure:gpt-4o", "", "codex"),
        ("openai:chatgpt-next", "", "codex"),
        ("openai-chat:other", "", "platform"),
    ],
)
def test_the_tools_are_those_of_the_model_behind_a_name(model: Any, base: str, family: str) -> None:
    endpoint = resolve(model, LISTED)
    assert (endpoint.base_model, endpoint.tool_family) == (base, family)
    name = model if isinstance(model, str) else "custom:prod"
    assert f"{endpoint.provider}:{endpoint.model}" == name
    assert endpoint.model_row == find_model(base or endpoint.model)


@pytest.mark.parametrize("model", ["azure:team-a", "azure-chat:o"])
def test_the_name_is_sent_with_the_parameters_of_the_model_behind_it(model: str) -> None:
    environ = LISTED | {"AZURE_OPENAI_ENDPOINT": "https://a.example"}
    call = ModelCall("", "", [UserMessage.of("go")], max_tokens=100, temperature=0.5, effort="high")
    body, dropped = wire_for(resolve(model, environ)).encode(call)
    assert body["model"] == model.partition(":")[2] and "max_tokens" not in body
    assert body.get("reasoning_effort") or body["reasoning"]["effort"] == "high"
    assert [item.parameter for item in dropped] == ["temperature"]


def test_the_price_is_that_of_the_model_behind_a_name() -> None:
    usage = Usage(input_tokens=1000)

    def cost(model: str, own: dict[str, dict[str, float]], base: str = "") -> float | None:
        return PriceTable(own).cost("azure", model, "", usage, base)

    assert cost("team-a", {}) is None
    assert cost("team-a", {}, "gpt-5.2") == cost("gpt-5.2", {}) is not None
    own = {"gpt-5.2": {"input": 2.0, "output": 1.0}}
    assert cost("team-a", own, "gpt-5.2") == pytest.approx(0.002)
    own["azure:team-a"] = {"input": 3.0, "output": 1.0}
    assert cost("team-a", own, "gpt-5.2") == pytest.approx(0.003)


@pytest.mark.parametrize("listed", ["", " , ", ","])
def test_an_empty_list_names_nothing(listed: str) -> None:
    assert deployments({VARIABLE: listed}) == {}
    assert resolve("azure:team-a", {VARIABLE: listed}).base_model == ""


@pytest.mark.parametrize("listed", ["team-a", "=gpt-5.2", "team-a=", "a=gpt-5.2,b", "team-a=no-such-model"])
def test_a_list_that_is_not_valid_is_refused(listed: str) -> None:
    with pytest.raises(RequestError) as refused:
        resolve("azure:team-a", {VARIABLE: listed})
    assert refused.value.field == VARIABLE
