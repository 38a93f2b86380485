"""Models at Amazon Bedrock: the path, the body, the key, and its binary event stream."""

from __future__ import annotations

import base64
import json
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from anthropic._constants import ANTHROPIC_API_VERSION

from agent_runtime.errors import ProviderError
from agent_runtime.providers.aws_events import AwsEventDecoder
from agent_runtime.providers.endpoints import resolve
from agent_runtime.providers.models import find_model
from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.model_streams import events
from agent_runtime.testing.scripted import run_scripted
from tests.providers.asking import asking

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def frame(payload: bytes, **headers: str) -> bytes:
    encoded = b""
    for name, value in headers.items():
        text = f":{name.replace('_', '-')}".encode()
        encoded += bytes([len(text)]) + text + b"\7" + struct.pack(">H", len(value)) + value.encode()
    prelude = struct.pack(">II", 16 + len(encoded) + len(payload), len(encoded))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + encoded + payload
    return message + struct.pack(">I", zlib.crc32(message))


def chunk(data: dict[str, Any]) -> bytes:
    payload = {"bytes": base64.b64encode(json.dumps(data).encode()).decode(), "p": "abc"}
    return frame(json.dumps(payload).encode(), event_type="chunk", message_type="event")


class Bedrock(BaseHTTPRequestHandler):
    """Answers with the frames of `answers`, in pieces."""

    answers: ClassVar[list[bytes]] = []
    seen: ClassVar[list[tuple[str, dict[str, str], Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        data = self.answers.pop(0)
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.amazon.eventstream")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        for start in range(0, len(data), 11):
            self.wfile.write(data[start : start + 11])

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def serving(*answers: bytes) -> Iterator[dict[str, str]]:
    """The environment of a run whose models are answered so."""
    Bedrock.answers, Bedrock.seen = list(answers), []
    with ThreadingHTTPServer(("127.0.0.1", 0), Bedrock) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        yield {"ANTHROPIC_BEDROCK_BASE_URL": url, "AWS_BEARER_TOKEN_BEDROCK": "a-key"}
        server.shutdown()


def answer(turn: Turn) -> bytes:
    return b"".join(map(chunk, events(turn, "anthropic", number=0, body={})))


def test_the_address_is_that_of_the_region() -> None:
    endpoint = resolve(f"bedrock:{MODEL}", {"AWS_REGION": "eu-west-1"})
    assert endpoint.base_url == "https://bedrock-runtime.eu-west-1.amazonaws.com"
    assert endpoint.model_row == find_model("claude-sonnet-4-5") and endpoint.tool_family == "claude"


@pytest.mark.anyio
async def test_a_turn_is_streamed_in_frames() -> None:
    with serving(answer(Turn("done", "hm"))) as environ, ModelServer([]) as server:
        async with asking(server, f"bedrock:{MODEL}", environ=environ) as asker:
            turn = await asker.ask("go")
    assert turn.message.text == "done"
    [(path, headers, body)] = Bedrock.seen
    assert path == f"/model/{MODEL}/invoke-with-response-stream"
    assert headers["authorization"] == "Bearer a-key" and "x-api-key" not in headers
    assert body["anthropic_version"] == ANTHROPIC_API_VERSION
    assert not {"model", "stream"} & body.keys()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("throttlingException", "rate_limited"),
        ("serviceUnavailableException", "overloaded"),
        ("modelStreamErrorException", "provider_error"),
    ],
)
async def test_an_exception_in_the_stream_is_an_error(name: str, code: str) -> None:
    raised = frame(b'{"message": "Too many."}', exception_type=name, message_type="exception")
    with serving(raised) as environ, ModelServer([]) as server:
        async with asking(server, f"bedrock:{MODEL}", environ=environ) as asker:
            with pytest.raises(ProviderError, match="Too many") as failed:
                await asker.ask("go")
    assert failed.value.code == code


@pytest.mark.parametrize("damage", [0, 5, 9, 20, -1])
def test_a_damaged_message_is_refused(damage: int) -> None:
    message = bytearray(chunk({"type": "ping"}))
    message[damage] ^= 1
    with pytest.raises(ValueError, match=r"checksum"):
        list(AwsEventDecoder().feed(bytes(message)))


def test_a_stream_that_ends_inside_a_message_is_refused() -> None:
    decoder = AwsEventDecoder()
    assert list(decoder.feed(chunk({"type": "ping"})[:-1])) == []
    with pytest.raises(ValueError, match="ends inside"):
        decoder.finish()


def test_a_run_without_a_region_says_which_variable_is_missing(tmp_path: Path) -> None:
    env = {"AWS_BEARER_TOKEN_BEDROCK": "a-key"}
    done = run_scripted([], tmp_path, env=env, options=["--model", f"bedrock:{MODEL}"])
    assert done.code == 2
    assert "AWS_REGION" in done.of("error")[0]["message"]
