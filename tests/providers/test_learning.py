"""A request that is refused for a parameter is made again without it, and the run remembers."""

from __future__ import annotations

from typing import Any

import pytest

from agent_runtime.agent.model import ToolSpec
from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import AssistantMessage, Image, Native, Text, UserMessage
from agent_runtime.providers.endpoints import resolve
from agent_runtime.providers.learning import learn
from agent_runtime.testing.model_server import Fault, ModelServer, Request, Turn
from tests.providers.asking import asking

BASH = ToolSpec("bash", "Run a command.", {"type": "object", "properties": {"command": {"type": "string"}}})
EDITOR = ToolSpec(
    "edit", "Edit.", {"type": "object"}, {"anthropic": {"type": "text_editor_20250728", "name": "edit"}}
)
PATCH = ToolSpec(
    "apply_patch",
    "Patch.",
    {"type": "object"},
    {"openai-responses": {"type": "custom", "name": "apply_patch"}},
)
SAID = AssistantMessage(
    blocks=(Text(text="hm"),),
    native=Native(
        format="openai-chat",
        model="m",
        items=({"role": "assistant", "content": "hm", "reasoning_details": [{"text": "x"}]},),
    ),
)
PICTURE = UserMessage(blocks=(Image(media_type="image/png", data="iVBORw0KGgo="),))
LARGE = 64_000


def refusal(message: str, param: str | None = None, status: int = 400) -> Turn:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return Turn(fault=Fault(status, body={"type": "error", "error": error}))


def detail(*loc: str | int) -> Turn:
    """What FastAPI answers, and Mistral."""
    body = {
        "detail": [{"type": "extra_forbidden", "loc": list(loc), "msg": "Extra inputs are not permitted"}]
    }
    return Turn(fault=Fault(422, body=body))


def custom(name: str, format: str = "openai") -> dict[str, Any]:
    return {"provider": "custom", "endpoint": "http://h/v1", "format": format, "name": name}


# model, settings of the call, the refusal, what then is no longer in the body, what is in it, what is reported
REFUSALS: list[tuple[Any, dict[str, Any], Turn, list[str], dict[str, Any], list[str]]] = [
    (
        custom("my-deployment"),
        {"max_tokens": 100},
        refusal(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            "max_tokens",
        ),
        ["max_tokens"],
        {"max_completion_tokens": 100},
        [],
    ),
    (
        custom("my-deployment"),
        {"temperature": 0.3},
        refusal(
            "Unsupported value: 'temperature' does not support 0.3 with this model. "
            "Only the default (1) value is supported.",
            "temperature",
        ),
        ["temperature"],
        {},
        ["temperature"],
    ),
    (
        custom("m"),
        {"temperature": 0.3},
        Turn(fault=Fault(400, body={"detail": "Unsupported parameter: temperature"})),
        ["temperature"],
        {},
        ["temperature"],
    ),
    (
        custom("m"),
        {"temperature": 0.3},
        refusal("This model does not support temperature"),
        ["temperature"],
        {},
        ["temperature"],
    ),
    (
        custom("served-by-vllm"),
        {"max_tokens": LARGE},
        refusal(
            "'max_tokens' or 'max_completion_tokens' is too large: 64000. This model's maximum context length is "
            "32768 tokens and your request has 1200 input tokens (64000 > 32768 - 1200)."
        ),
        [],
        {"max_tokens": 8192},
        ["maxTokens"],
    ),
    (
        custom("older-vllm"),
        {"max_tokens": LARGE},
        refusal(
            "This model's maximum context length is 8192 tokens. However, you requested 71000 tokens "
            "(7000 in the messages, 64000 in the completion)."
        ),
        [],
        {"max_tokens": 1192},
        ["maxTokens"],
    ),
    (
        custom("m"),
        {"thinking": False},
        Turn(fault=Fault(400, body={"error": 'json: unknown field "reasoning_effort"'})),
        ["reasoning_effort"],
        {},
        ["effort"],
    ),
    (
        custom("my-kimi"),
        {"temperature": 0.3},
        refusal("invalid temperature: only 1 is allowed for this model"),
        ["temperature"],
        {},
        ["temperature"],
    ),
    (
        custom("m"),
        {},
        refusal("Unrecognized request argument supplied: stream_options"),
        ["stream_options"],
        {},
        ["stream_options"],
    ),
    (custom("m"), {}, detail("body", "stream_options"), ["stream_options"], {}, ["stream_options"]),
    (
        "openai-chat:gpt-4.1",
        {"cache_key": "k"},
        refusal("property 'prompt_cache_key' is unsupported"),
        ["prompt_cache_key"],
        {},
        ["prompt_cache_key"],
    ),
    (
        "openai-chat:gpt-4.1",
        {"cache_key": "k"},
        refusal('Invalid JSON payload received. Unknown name "prompt_cache_key": Cannot find field.'),
        ["prompt_cache_key"],
        {},
        ["prompt_cache_key"],
    ),
    (
        "openai-chat:gpt-4.1",
        {"tools": [BASH], "parallel_tools": False},
        refusal("Unknown parameter: 'parallel_tool_calls'.", "parallel_tool_calls"),
        ["parallel_tool_calls"],
        {},
        ["parallelTools"],
    ),
    (
        "openai-chat:gpt-4.1",
        {"max_tokens": 20_000},
        refusal(
            "max_tokens is too large: 20000. This model supports at most 16384 completion tokens, "
            "whereas you provided 20000.",
            "max_tokens",
        ),
        [],
        {"max_completion_tokens": 16_384},
        ["maxTokens"],
    ),
    (
        custom("deepseek-like"),
        {"max_tokens": LARGE},
        refusal("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"),
        [],
        {"max_tokens": 8192},
        ["maxTokens"],
    ),
    (
        custom("gpt-5.5"),
        {"tools": [BASH]},
        refusal(
            "Function tools with reasoning_effort are not supported for gpt-5.5 in /v1/chat/completions. "
            "Please use /v1/responses instead.",
            "reasoning_effort",
        ),
        [],
        {"reasoning_effort": "none"},
        ["thinking"],
    ),
    (
        custom("gpt-5.1"),
        {"effort": "low"},
        refusal(
            "Unsupported value: 'reasoning_effort' does not support 'low' with this model. "
            "Supported values are: 'medium' and 'high'.",
            "reasoning_effort",
        ),
        [],
        {"reasoning_effort": "medium"},
        ["effort"],
    ),
    (
        custom("grok-like"),
        {"effort": "high"},
        refusal("Model grok-4 does not support parameter reasoningEffort."),
        ["reasoning_effort"],
        {},
        ["effort"],
    ),
    (
        "google:gemini-9-flash",
        {"effort": "high"},
        refusal("reasoning_effort is not supported with this model"),
        ["reasoning_effort"],
        {},
        ["effort"],
    ),
    (
        "google:gemini-2.5-flash-new",
        {"thinking": False},
        refusal("Budget 0 is invalid. This model only works in thinking mode."),
        ["reasoning_effort"],
        {},
        ["thinking"],
    ),
    (
        custom("text-only"),
        {"messages": [PICTURE]},
        refusal("text-only is not a multimodal model"),
        [],
        {},
        ["images"],
    ),
    (
        custom("text-only"),
        {"messages": [PICTURE]},
        refusal("messages[1]: unknown variant `image_url`, expected `text` at line 1 column 120"),
        [],
        {},
        ["images"],
    ),
    (
        custom("routed"),
        {"messages": [PICTURE]},
        refusal("No endpoints found that support image input", status=404),
        [],
        {},
        ["images"],
    ),
    (
        "openai:gpt-5.2",
        {"effort": "xhigh"},
        refusal(
            "Unsupported value: 'xhigh' is not supported with the 'gpt-5.2' model. "
            "Supported values are: 'none', 'low', 'medium', and 'high'.",
            "reasoning.effort",
        ),
        [],
        {"reasoning": {"summary": "auto", "effort": "high"}},
        ["effort"],
    ),
    (
        "openai:gpt-5.2",
        {},
        refusal("Encrypted content is not supported with this model.", "include"),
        ["include"],
        {},
        ["include"],
    ),
    (
        "openai:gpt-5.2",
        {},
        refusal(
            "Unsupported parameter: 'reasoning.summary' is not supported with this model.",
            "reasoning.summary",
        ),
        ["reasoning"],
        {},
        ["reasoning.summary"],
    ),
    (
        "openai:gpt-4.1",
        {"temperature": 0.3},
        refusal("Unsupported parameter: 'temperature' is not supported with this model.", "temperature"),
        ["temperature"],
        {},
        ["temperature"],
    ),
    (
        "openai:gpt-5.2",
        {"cache_key": "k"},
        refusal("Unknown parameter: 'prompt_cache_key'.", "prompt_cache_key"),
        ["prompt_cache_key"],
        {},
        ["prompt_cache_key"],
    ),
    (
        "anthropic:claude-new-1",
        {"max_tokens": LARGE},
        refusal(
            "max_tokens: 64000 > 32000, which is the maximum allowed number of output tokens for claude-new-1"
        ),
        [],
        {"max_tokens": 32_000},
        ["maxTokens"],
    ),
    (
        "claude-sonnet-4-5",
        {"temperature": 0.3},
        refusal("`temperature` is deprecated for this model."),
        ["temperature"],
        {},
        ["temperature"],
    ),
    (
        "claude-opus-4-6",
        {"effort": "max", "thinking": False},
        refusal("output_config: Extra inputs are not permitted"),
        ["output_config"],
        {},
        ["effort"],
    ),
    (
        "claude-opus-5",
        {"effort": "high", "thinking": False},
        refusal("output_config.effort: 'high' is not supported when thinking is disabled"),
        [],
        {"output_config": {"effort": "medium"}},
        ["effort"],
    ),
    (
        "claude-opus-5",
        {"thinking": False},
        refusal('"thinking.type.disabled" is not supported for this model. Use "thinking.type.adaptive".'),
        ["thinking"],
        {},
        ["thinking"],
    ),
    (
        custom("claude-opus-4-6", "anthropic"),
        {},
        refusal("adaptive thinking is not supported on this model"),
        ["thinking"],
        {},
        ["thinking"],
    ),
    (
        custom("claude-opus-4-6", "anthropic"),
        {},
        refusal("thinking.type: Input should be 'enabled' or 'disabled'"),
        ["thinking"],
        {},
        ["thinking"],
    ),
    (
        custom("claude-opus-4-6", "anthropic"),
        {},
        refusal("thinking.display: Extra inputs are not permitted"),
        [],
        {"thinking": {"type": "adaptive"}},
        ["thinking.display"],
    ),
    (
        "claude-sonnet-4-5",
        {"tools": [EDITOR]},
        refusal(
            "tools.0: Input tag 'text_editor_20250728' found using 'type' does not match any of the expected tags"
        ),
        [],
        {
            "tools": [
                {"name": "edit", "description": "Edit.", "input_schema": {"type": "object"}},
            ]
        },
        [],
    ),
    (
        "openai:gpt-5.2",
        {"tools": [PATCH]},
        refusal("Invalid value: 'custom'. Supported values are: 'function'.", "tools[0].type"),
        [],
        {
            "tools": [
                {
                    "type": "function",
                    "name": "apply_patch",
                    "description": "Patch.",
                    "parameters": {"type": "object"},
                    "strict": False,
                }
            ]
        },
        [],
    ),
    (
        custom("m"),
        {"messages": ["go", SAID, "on"]},
        refusal("'messages.2' : for 'role:assistant' : property 'reasoning_details' is unsupported"),
        [],
        {},
        ["messages.reasoning_details"],
    ),
    (
        custom("gateway-claude", "anthropic"),
        {},
        refusal("system.0.cache_control: Extra inputs are not permitted"),
        [],
        {"system": [{"type": "text", "text": "You are tested."}]},
        ["system.cache_control"],
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("model", "asked", "refused", "gone", "sent", "reported"), REFUSALS)
async def test_a_refused_parameter_is_left_out_for_the_rest_of_the_run(
    model: Any,
    asked: dict[str, Any],
    refused: Turn,
    gone: list[str],
    sent: dict[str, Any],
    reported: list[str],
) -> None:
    messages = asked.get("messages", ["go"])
    settings = {name: value for name, value in asked.items() if name != "messages"}
    with ModelServer([refused, Turn("done"), Turn("again")], strict=False) as server:
        environ = {"GEMINI_BASE_URL": f"{server.url}/v1", "GEMINI_API_KEY": "k"} | server.environ("anthropic")
        if isinstance(model, dict):
            model = model | {"endpoint": f"{server.url}/v1"}
        async with asking(server, model, environ=environ) as asker:
            assert (await asker.ask(*messages, **settings)).message.text == "done"
            assert (await asker.ask(*messages, **settings)).message.text == "again"
        first, *rest = server.bodies
    for name in gone:
        assert name in first and all(name not in body for body in rest)
    for name, value in sent.items():
        assert first.get(name) != value and [body.get(name) for body in rest] == [value, value]
    if "images" in reported:
        assert "iVBORw0KGgo=" in str(first) and all("iVBORw0KGgo=" not in str(body) for body in rest)
    assert [item.parameter for item in asker.dropped] == reported


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
