"""Failures of the provider over a real connection: their error codes, and that nothing waits for ever."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from agent_runtime.errors import ProviderError
from agent_runtime.providers.connect import connect
from agent_runtime.providers.endpoints import resolve
from agent_runtime.providers.transport import LiveTransport, StreamTimeouts, progresses
from agent_runtime.testing.model_server import Fault, ModelServer, Turn
from tests.providers.asking import asking
from tests.support.formats import formats
from tests.support.ports import ReservedPort
from tests.support.waiting import until_async

pytestmark = pytest.mark.anyio


async def failure(turn: Turn, format: Any, timeouts: StreamTimeouts | None = None) -> ProviderError:
    with ModelServer([turn]) as server:
        async with asking(server, format, timeouts=timeouts) as asker:
            with pytest.raises(ProviderError) as caught:
                await asker.ask("go")
    return caught.value


@formats
async def test_an_error_response_keeps_status_message_and_request_id(format: Any) -> None:
    headers = {"retry-after": "7", "request-id": "req_7", "x-request-id": "req_7"}
    error = await failure(Turn(fault=Fault(429, headers, "my own words")), format)
    found = (error.code, error.retryable, error.message, error.status, error.request_id, error.retry_after)
    assert found == ("rate_limited", True, "my own words", 429, "req_7", 7.0)
    error = await failure(Turn(fault=Fault(400, message="prompt is too long: 210000 tokens")), format)
    assert (error.code, error.retryable) == ("context_overflow", False)


@formats
async def test_an_error_body_that_is_not_json_is_reported(format: Any) -> None:
    error = await failure(Turn(fault=Fault(502, body="<html><h1>Bad   gateway</h1></html>")), format)
    assert (error.code, error.retryable, error.message) == ("provider_error", True, "Bad gateway")
    assert (
        await failure(Turn(fault=Fault(500, body="")), format)
    ).message == "HTTP 500 Internal Server Error"


@formats
@pytest.mark.parametrize("after", [0, 2, 5])
async def test_a_cut_stream_is_a_retryable_error(format: Any, after: int) -> None:
    turn = Turn("some text to be cut", "a thought", fault=Fault(cut_after=after))
    error = await failure(turn, format)
    assert (error.code, error.retryable) == ("provider_error", True)


@formats
async def test_garbage_is_a_retryable_error(format: Any) -> None:
    error = await failure(Turn(text="some text", fault=Fault(garbage=True)), format)
    assert (error.code, error.retryable) == ("provider_error", True)


@formats
@pytest.mark.parametrize(
    ("kind", "code", "retryable"),
    [
        ("overloaded_error", "overloaded", True),
        ("rate_limit_error", "rate_limited", True),
        ("insufficient_quota", "insufficient_quota", False),
        ("unheard_of", "provider_error", True),
    ],
)
async def test_an_error_inside_the_stream(format: Any, kind: str, code: str, retryable: bool) -> None:
    fault = Fault(error_in_stream=True, code=kind, message="so it goes")
    error = await failure(Turn(text="some text", fault=fault), format)
    assert (error.code, error.retryable, error.message) == (code, retryable, "so it goes")


@formats
@pytest.mark.parametrize(
    "fault",
    [Fault(black_hole=True), Fault(pings_only=True), Fault(hang_after=3)],
    ids=["hole", "pings", "hang"],
)
async def test_a_stream_without_progress_times_out(format: Any, fault: Fault) -> None:
    timeouts = StreamTimeouts(first=0.4, between=0.4)
    with anyio.fail_after(60):  # and not forever
        error = await failure(Turn(text="some text", fault=fault), format, timeouts)
    assert (error.code, error.retryable) == ("provider_timeout", True)


@pytest.mark.parametrize(("between", "in_time"), [(4.0, True), (6.0, False)])
async def test_a_slow_stream_with_progress_is_waited_for(
    between: float, in_time: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, passed = asyncio.get_running_loop(), 0.0
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + passed)

    class Slow:
        """Each chunk comes that many seconds after the one before it, by a clock of its own."""

        async def events(self, body: Any) -> AsyncIterator[dict[str, Any]]:
            nonlocal passed
            for number in range(5):
                passed += between
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()  # a timeout that is due ends the call here
                yield {"type": "content_block_delta", "index": 0, "delta": {"text": str(number)}}

        async def aclose(self) -> None:
            pass

    transport = LiveTransport(
        resolve("anthropic:m", {"ANTHROPIC_API_KEY": "k"}), timeouts=StreamTimeouts(first=100, between=5)
    )
    monkeypatch.setattr(transport, "_client", Slow())
    chunks = []
    with nullcontext() if in_time else pytest.raises(ProviderError, match="no progress"):
        async for chunk in transport.stream({}):
            chunks.append(chunk["delta"]["text"])
    assert len(chunks) == (5 if in_time else 1)


@formats
async def test_a_complete_turn_counts_although_the_connection_stays_open(format: Any) -> None:
    # chat: the usage comes after the end, and is not waited for long
    after = 5 if format == "openai-chat" else 1000
    with ModelServer([Turn("whole", fault=Fault(hang_after=after))]) as server:
        async with asking(server, format) as asker:
            asker.adapter._linger = 0.3
            turn = await asker.ask("go")
    assert (turn.message.text, turn.stop) == ("whole", "end_turn")


@formats
async def test_a_server_that_does_not_listen_is_a_retryable_error(format: Any) -> None:
    port = ReservedPort()  # no process listens on it
    url = f"http://127.0.0.1:{port.number}"
    with ModelServer([]) as server:
        async with asking(server, format, base_url=url) as asker:
            with pytest.raises(ProviderError) as caught:
                await asker.ask("go")
    port.close()
    assert (caught.value.code, caught.value.retryable) == ("provider_error", True)
    assert "connect" in caught.value.message


@formats
async def test_closing_the_connections_ends_a_call_with_a_retryable_error(format: Any) -> None:
    with ModelServer([Turn(text="text", fault=Fault(hang_after=3)), Turn("again")]) as server:
        async with asking(server, format) as asker:
            errors: list[ProviderError] = []
            ended = anyio.Event()

            async def ask() -> None:
                try:
                    await asker.ask("go")
                except ProviderError as error:
                    errors.append(error)
                ended.set()

            async with anyio.create_task_group() as group:
                group.start_soon(ask)
                await until_async(lambda: bool(server.requests))
                # the stream hangs by now, or has yet to begin: both must end
                await asker.transport.aclose()
                with anyio.fail_after(60):
                    await ended.wait()
            assert [error.retryable for error in errors] == [True]
            assert (await asker.ask("go")).message.text == "again"


@formats
async def test_cancelling_returns_at_once(format: Any) -> None:
    with ModelServer([Turn(text="text", fault=Fault(hang_after=3))]) as server:
        async with asking(server, format) as asker:
            with anyio.move_on_after(0.4) as scope:
                await asker.ask("go")
            assert scope.cancelled_caught


@pytest.mark.parametrize("model", ["anthropic:claude-sonnet-4-5", "openai:gpt-5.2", "groq:llama-3.3-70b"])
async def test_a_missing_key_is_reported_without_a_request(model: str) -> None:
    with ModelServer([]) as server:
        async with asking(server, model, api_key=None) as asker:
            with pytest.raises(
                ProviderError, match=f"{resolve(model, {}).key_variable} is not set"
            ) as caught:
                await asker.ask("go")
        assert (caught.value.code, caught.value.retryable, server.requests) == (
            "authentication_error",
            False,
            [],
        )


async def test_a_refused_connection_names_the_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound and not listening: refused
        url = f"http://user:pa55word@127.0.0.1:{free.getsockname()[1]}/v1"
        for format in ("openai-chat", "openai-responses", "anthropic"):
            environ = {
                "OPENAI_API_KEY": "k",
                "OPENAI_BASE_URL": url,
                "ANTHROPIC_API_KEY": "k",
                "ANTHROPIC_BASE_URL": url,
            }
            names = {
                "openai-chat": "openai-chat:m",
                "openai-responses": "openai:m",
                "anthropic": "anthropic:m",
            }
            transport = connect(resolve(names[format], environ))
            with pytest.raises(
                ProviderError, match=r"^http://127\.0\.0\.1:\d+(/v1)? refused the connection"
            ) as caught:
                async for _ in transport.stream({"model": "m", "messages": [], "input": [], "max_tokens": 1}):
                    raise AssertionError("nothing is streamed")
            assert "pa55word" not in caught.value.message
            await transport.aclose()


@pytest.mark.parametrize(
    "choices", ["text", ["text"], [None], [1], [{"delta": "text"}], [{"delta": ["x"]}], {"a": 1}, 5]
)
def test_choices_of_another_form_are_left_to_the_decoder(choices: object) -> None:
    assert progresses({"choices": choices})


@pytest.mark.parametrize("choices", [None, [], [{}], [{"delta": {}}], [{"delta": {"role": "assistant"}}]])
def test_empty_choices_are_no_progress(choices: object) -> None:
    assert not progresses({"choices": choices})
