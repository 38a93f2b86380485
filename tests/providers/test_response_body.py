"""Server-sent events framed in other ways than the formats' own providers frame them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from agent_runtime.agent.model import Delta, ModelCall
from agent_runtime.agent.model import Turn as Answer
from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import Usage, UserMessage
from agent_runtime.providers.adapter import Adapter
from agent_runtime.providers.connect import connect, wire_for
from agent_runtime.providers.endpoints import resolve
from agent_runtime.providers.transport import StreamTimeouts
from agent_runtime.testing.model_streams import events
from agent_runtime.testing.turns import Turn
from tests.providers.asking import MODELS
from tests.support.formats import FORMATS

pytestmark = pytest.mark.anyio

SAID = "Grüße, 😀\u2028 and on"


def line(event: dict[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False)


def named(event: dict[str, Any], end: str = "\n") -> str:
    name = f"event: {event['type']}{end}" if "type" in event else ""
    return f"{name}data: {line(event)}{end}{end}"


def over_lines(event: dict[str, Any]) -> str:
    lines = json.dumps(event, indent=1, ensure_ascii=False).split("\n")
    return "".join(f"data: {part}\n" for part in lines) + "\n"


# how each event is written, what comes before the first and after the last
FRAMINGS = {
    "crlf": (lambda event: named(event, "\r\n"), "", "data: [DONE]\r\n\r\n"),
    "cr": (lambda event: named(event, "\r"), "", ""),
    "no-space": (lambda event: named(event).replace("data: ", "data:", 1), "", "data:[DONE]\n\n"),
    "no-names": (lambda event: f"data: {line(event)}\n\n", "", "data: [DONE]\n\n"),
    "comments": (lambda event: f": OPENROUTER PROCESSING\n\n{named(event)}", ": connected\n\n", ": bye\n\n"),
    "ids": (lambda event: f"id: 7\nretry: 100\n{named(event)}", "retry: 3000\n\n", ""),
    "empty-events": (
        lambda event: f"event: keepalive\ndata:\n\n{named(event)}",
        "event: ping\n\n",
        "data: \n\n",
    ),
    "over-lines": (over_lines, "", ""),
    "no-end": (named, "", ""),
}


@contextmanager
def serving(body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


async def asked(format: str, url: str) -> tuple[Answer, list[Delta]]:
    address = {"ANTHROPIC_BASE_URL": url, "OPENAI_BASE_URL": f"{url}/v1"}
    endpoint = resolve(MODELS[format], address | {"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"})
    transport = connect(endpoint, limits=StreamTimeouts(first=60, between=60))
    adapter = Adapter(wire_for(endpoint), transport)
    deltas: list[Delta] = []

    async def take(delta: Delta) -> None:
        deltas.append(delta)

    try:
        return await adapter.turn(ModelCall(endpoint.model, "", [UserMessage.of("go")]), take), deltas
    finally:
        await transport.aclose()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("framing", FRAMINGS)
async def test_every_framing_of_a_stream_is_read(framing: str, format: Any) -> None:
    write, before, after = FRAMINGS[framing]
    turn = Turn(SAID, "hm", calls=[("bash", {"command": "ls"})])
    chunks = events(turn, format, number=1, body={})
    with serving((before + "".join(map(write, chunks)) + after).encode()) as url:
        answer, deltas = await asked(format, url)
    assert answer.message.text == "".join(delta.text for delta in deltas if delta.kind == "text") == SAID
    assert [call.input for call in answer.message.calls] == [{"command": "ls"}]
    assert (answer.stop, answer.usage is not None) == ("tool_calls", True)


WHOLE: dict[str, dict[str, Any]] = {
    "anthropic": {
        "type": "message",
        "id": "msg_1",
        "content": [
            {"type": "text", "text": SAID},
            {"type": "tool_use", "id": "c1", "name": "bash", "input": {"command": "ls"}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 10, "output_tokens": 5},
    },
    "openai-responses": {
        "object": "response",
        "status": "completed",
        "output": [
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": SAID}]},
            {"type": "function_call", "call_id": "c1", "name": "bash", "arguments": '{"command": "ls"}'},
        ],
        "usage": {"input_tokens": 10, "output_tokens": 5},
    },
    "openai-chat": {
        "object": "chat.completion",
        "choices": [
            {
                "message": {
                    "content": SAID,
                    "tool_calls": [
                        {"id": "c1", "function": {"name": "bash", "arguments": '{"command": "ls"}'}}
                    ],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
    },
}


@pytest.mark.parametrize("format", FORMATS)
async def test_a_complete_json_answer_is_read(format: Any) -> None:
    with serving(json.dumps(WHOLE[format], indent=1).encode()) as url:
        answer, deltas = await asked(format, url)
    assert answer.message.text == "".join(delta.text for delta in deltas if delta.kind == "text") == SAID
    assert [call.input for call in answer.message.calls] == [{"command": "ls"}]
    assert (answer.stop, answer.usage) == ("tool_calls", Usage(input_tokens=10, output_tokens=5))


@pytest.mark.parametrize("format", FORMATS)
async def test_an_error_with_a_success_status_is_raised(format: Any) -> None:
    error = {
        "type": "error",
        "error": {"code": "insufficient_quota", "type": "billing_error", "message": "pay first"},
    }
    with (
        serving(json.dumps(error).encode()) as url,
        pytest.raises(ProviderError, match="pay first") as failed,
    ):
        await asked(format, url)
    assert (failed.value.code, failed.value.retryable) == ("insufficient_quota", False)
