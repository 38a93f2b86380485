"""A request that is refused for a parameter is made again without it, and the run remembers."""

from __future__ import annotations

import pytest

from agent_runtime.errors import ProviderError
from agent_runtime.providers.endpoints import resolve
from agent_runtime.providers.learning import learn
from agent_runtime.testing.model_server import ModelServer, Request, Turn
from tests.providers.asking import asking
from tests.providers.refusals import BASH, CASES, Case, custom, refusal


@pytest.mark.anyio
@pytest.mark.parametrize("case", CASES)
async def test_a_refused_parameter_is_left_out_for_the_rest_of_the_run(case: Case) -> None:
    model = case.model
    messages = case.asked.get("messages", ["go"])
    settings = {name: value for name, value in case.asked.items() if name != "messages"}
    with ModelServer([case.refused, Turn("done"), Turn("again")], strict=False) as server:
        environ = {"GEMINI_BASE_URL": f"{server.url}/v1", "GEMINI_API_KEY": "k"} | server.environ("anthropic")
        if isinstance(model, dict):
            model = model | {"endpoint": f"{server.url}/v1"}
        async with asking(server, model, environ=environ) as asker:
            assert (await asker.ask(*messages, **settings)).message.text == "done"
            assert (await asker.ask(*messages, **settings)).message.text == "again"
        first, *rest = server.bodies
    for name in case.gone:
        assert name in first and all(name not in body for body in rest)
    for name, value in case.sent.items():
        assert first.get(name) != value and [body.get(name) for body in rest] == [value, value]
    if "images" in case.reported:
        assert "iVBORw0KGgo=" in str(first) and all("iVBORw0KGgo=" not in str(body) for body in rest)
    assert [item.parameter for item in asker.dropped] == case.reported


@pytest.mark.anyio
async def test_several_parameters_are_left_out_one_after_the_other() -> None:
    def strict(request: Request) -> Turn:
        for name in ("stream_options", "max_tokens", "max_completion_tokens", "temperature"):
            if name in request.body:
                return refusal(f"Unknown parameter: '{name}'.", name)
        return Turn("done")

    with ModelServer([strict] * 9, strict=False) as server:
        model = custom("m") | {"endpoint": f"{server.url}/v1"}
        async with asking(server, model) as asker:
            turn = await asker.ask("go", max_tokens=100, temperature=0.5)
    assert (turn.message.text, len(server.requests)) == ("done", 4)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "message",
    [
        "Unknown parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        "Unsupported value: 'reasoning_effort' does not support that. Supported values are: 'low'.",
        "Unknown parameter: 'temperature', 'stream_options', 'tools', 'messages'.",
    ],
)
async def test_learning_stops_at_a_server_that_refuses_everything(message: str) -> None:
    def refuse(request: Request) -> Turn:
        if "max_completion_tokens" in request.body:
            return refusal("Unknown parameter: 'max_completion_tokens'. Use 'max_tokens' instead.")
        return refusal(message)

    with ModelServer([refuse], strict=False, repeat_last=True) as server:
        async with asking(server, custom("m") | {"endpoint": f"{server.url}/v1"}) as asker:
            with pytest.raises(ProviderError):
                await asker.ask("go", tools=[BASH], temperature=0.3, max_tokens=50, effort="high")
        assert len(server.requests) <= 9


@pytest.mark.anyio
@pytest.mark.parametrize(
    "message",
    [
        "messages.1.content.0.text: text content blocks must be non-empty",
        "tools.0.custom.name: String should match pattern",
        "Invalid 'messages[2].content': string too long",
        "The model is overloaded in a way that is unknown",
        "Invalid schema for function 'bash': schema must be a dict",
    ],
)
async def test_an_unrelated_refusal_is_final_and_teaches_nothing(message: str) -> None:
    with ModelServer([refusal(message), Turn("later")], strict=False) as server:
        async with asking(server, "openai-chat:gpt-4.1") as asker:
            with pytest.raises(ProviderError):
                await asker.ask("go", tools=[BASH], temperature=0.3, max_tokens=50)
            await asker.ask("go", tools=[BASH], temperature=0.3, max_tokens=50)
        first, second = server.bodies
    assert (first, asker.dropped) == (second, [])


@pytest.mark.anyio
@pytest.mark.parametrize(
    "message",
    [
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        "messages.3.content.0.signature: Invalid value",
        "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum",
        "tools.0.custom.input_schema: invalid `thinking` property",
    ],
)
async def test_a_refusal_of_the_history_drops_no_parameter(message: str) -> None:
    with ModelServer([refusal(message), Turn("later")], strict=False) as server:
        async with asking(server, "claude-opus-4-6") as asker:
            with pytest.raises(ProviderError):
                await asker.ask("go", effort="low")
            await asker.ask("go", effort="low")
        first, second = server.bodies
    assert (first, asker.dropped) == (second, [])


@pytest.mark.anyio
async def test_a_change_that_does_not_help_is_not_remembered() -> None:
    script = [refusal("Unknown parameter: 'temperature'.", "temperature"), refusal("no"), Turn("later")]
    with ModelServer(script, strict=False) as server:
        async with asking(server, "openai-chat:gpt-4.1") as asker:
            with pytest.raises(ProviderError):
                await asker.ask("go", temperature=0.3)
            await asker.ask("go", temperature=0.3)
    assert ["temperature" in body for body in server.bodies] == [True, False, True]


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_only_a_refused_request_changes_parameters(status: int) -> None:
    error = ProviderError(
        "provider_error", "Unknown parameter: 'temperature'.", retryable=False, status=status
    )
    assert learn(resolve("openai:gpt-4.1", {}), error, {"temperature": 1}) is None
