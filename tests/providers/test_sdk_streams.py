"""The vendors' SDKs accumulate the same from a stream as our decoders: texts, calls, and tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from agent_runtime.protocol.messages import AssistantMessage, Usage
from agent_runtime.testing.model_server import ModelServer, Turn
from tests.providers.asking import asking
from tests.support.formats import FORMATS

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")]
TASK: Any = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]}]
STREAMS = Path(__file__).parents[1] / "data" / "streams"
# text, calls, input and output tokens
Accumulated = tuple[str, list[tuple[str, str, Any]], tuple[int, int] | None]


# where the SDKs fail, or say something else, and why
OTHERWISE = {
    "anthropic/two-messages": "the blocks of the second message overwrite those of the first",
    "openai-chat/content-parts": "parts of a content need an index",
    "openai-chat/reasoning-outside-of-the-output": "reasoning that only the total counts is left out",
    "openai-responses/calls-of-other-clients": "an item that has another id at its end is refused",
    "openai-responses/error": "the error is raised",
    "openai-responses/two-responses": "a second response in a stream is refused",
}


def streams(*, otherwise: bool) -> list[Any]:
    return [
        pytest.param(format, path, id=f"{format}-{path.stem}")
        for format in FORMATS
        for path in sorted((STREAMS / format).glob("*.jsonl"))
        if (f"{format}/{path.stem}" in OTHERWISE) is otherwise
    ]


async def by_anthropic(server: ModelServer) -> Accumulated:
    environ = server.environ("anthropic")
    client = anthropic.AsyncAnthropic(api_key="k", base_url=environ["ANTHROPIC_BASE_URL"], max_retries=0)
    async with (
        client,
        client.messages.stream(
            model="m", max_tokens=99, messages=[{"role": "user", "content": "go"}]
        ) as stream,
    ):
        message = await stream.get_final_message()
    blocks: list[Any] = list(message.content)
    text = "".join(block.text for block in blocks if block.type == "text")
    calls = [(block.id, block.name, block.input) for block in blocks if block.type == "tool_use"]
    usage = message.usage
    read = (
        usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    )
    return text, calls, (read, usage.output_tokens)


async def by_responses(server: ModelServer) -> Accumulated:
    environ = server.environ("openai-responses")
    client = openai.AsyncOpenAI(api_key="k", base_url=environ["OPENAI_BASE_URL"], max_retries=0)
    async with client, client.responses.stream(model="m", input=TASK) as stream:
        response = await stream.get_final_response()
    items: list[Any] = list(response.output)
    calls = [
        (item.call_id, item.name, json.loads(item.arguments))
        for item in items
        if item.type == "function_call"
    ]
    usage = response.usage
    return response.output_text, calls, (usage.input_tokens, usage.output_tokens) if usage else None


async def by_chat(server: ModelServer) -> Accumulated:
    environ = server.environ("openai-chat")
    client = openai.AsyncOpenAI(api_key="k", base_url=environ["OPENAI_BASE_URL"], max_retries=0)
    async with (
        client,
        client.chat.completions.stream(
            model="m", messages=[{"role": "user", "content": "go"}], stream_options={"include_usage": True}
        ) as stream,
    ):
        completion = await stream.get_final_completion()
    message: Any = completion.choices[0].message
    calls = [
        (call.id, call.function.name, json.loads(call.function.arguments))
        for call in message.tool_calls or ()
    ]
    usage = completion.usage
    return message.content or "", calls, (usage.prompt_tokens, usage.completion_tokens) if usage else None


SDKS = {"anthropic": by_anthropic, "openai-responses": by_responses, "openai-chat": by_chat}


def of(message: AssistantMessage, usage: Usage | None) -> Accumulated:
    calls = [(call.id, call.name, call.input) for call in message.calls]
    return message.text, calls, (usage.input_tokens, usage.output_tokens) if usage else None


@pytest.mark.parametrize(("format", "path"), streams(otherwise=False))
async def test_a_stream_is_accumulated_as_the_sdk_does(format: Any, path: Path) -> None:
    with ModelServer([Turn(raw=path), Turn(raw=path)]) as server:
        theirs = await SDKS[format](server)
        async with asking(server, format) as asker:
            turn = await asker.ask("go")
    assert of(turn.message, turn.usage) == theirs


@pytest.mark.parametrize(("format", "path"), streams(otherwise=True))
async def test_the_exceptions_are_still_needed(format: Any, path: Path) -> None:
    async def ours() -> Accumulated | str:
        async with asking(server, format) as asker:
            turn = await asker.ask("go")
        return of(turn.message, turn.usage)

    async def outcome(accumulated: Any) -> Accumulated | str:
        try:
            result: Accumulated = await accumulated
        except Exception as error:
            return type(error).__name__
        return result

    with ModelServer([Turn(raw=path), Turn(raw=path)]) as server:
        assert await outcome(SDKS[format](server)) != await outcome(ours())
