"""Connections to providers: used again, over proxies of the environment, and with the key for one origin only."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from agent_runtime.errors import ProviderError
from agent_runtime.providers.connect import connect
from agent_runtime.providers.endpoints import resolve
from agent_runtime.providers.transport import StreamTimeouts

pytestmark = pytest.mark.anyio

STREAM = (
    b'event: a\ndata: {"type": "a", "n": 1}\n\nevent: ping\ndata: {"type": "ping"}\n\ndata: {"type": "b"}\n\n'
)


class Server:
    """Answers every POST with what `answer` returns: status, headers, body."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], int]] = []  # path, headers, number of the connection
        self.connections = 0
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.url = ""

    def take(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer; the last one is repeated."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def serving(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[Server]:
    served = Server()
    served.answers = list(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            served.connections += 1
            self.number = served.connections

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            served.requests.append((self.path, headers, self.number))
            status, more, body = served.take()
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        served.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield served
        http.shutdown()
        thread.join()


async def streamed(url: str, calls: int = 1) -> list[list[dict[str, Any]]]:
    """The chunks of that many calls over one transport."""
    environ = {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "sk-key",
        "ANTHROPIC_CUSTOM_HEADERS": "x-gateway: s",
    }
    transport = connect(resolve("anthropic:m", environ), limits=StreamTimeouts(first=60, between=60))
    try:
        return [[chunk async for chunk in transport.stream({"messages": []})] for _ in range(calls)]
    finally:
        await transport.aclose()


async def test_a_connection_is_used_again() -> None:
    with serving((200, {}, STREAM), (200, {}, STREAM + b"data: [DONE]\n\n"), (200, {}, STREAM)) as server:
        found = await streamed(server.url, calls=4)
    assert found == [[{"type": "a", "n": 1}, {"type": "b"}]] * 4  # without pings
    assert [number for _, _, number in server.requests] == [1] * 4


async def test_a_compressed_stream_is_read() -> None:
    body = gzip.compress(STREAM)
    with serving((200, {"content-encoding": "gzip"}, body)) as server:
        assert await streamed(server.url) == [[{"type": "a", "n": 1}, {"type": "b"}]]


async def test_a_redirect_within_the_origin_is_followed() -> None:
    with serving((307, {"location": "/other/v1/messages"}, b""), (200, {}, STREAM)) as server:
        assert len((await streamed(server.url))[0]) == 2
    assert [path for path, _, _ in server.requests] == ["/v1/messages", "/other/v1/messages"]
    assert server.requests[1][1]["x-api-key"] == "sk-key"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_the_key_goes_to_no_other_origin(status: int) -> None:
    with serving((200, {}, STREAM)) as other:
        with (
            serving((status, {"location": f"{other.url}/v1/messages"}, b"")) as server,
            pytest.raises(ProviderError, match=f"redirects to {other.url}/v1/messages; use that") as caught,
        ):
            await streamed(server.url)
        assert (other.requests, caught.value.retryable) == ([], False)


async def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving((200, {}, STREAM)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert len((await streamed("http://provider.example"))[0]) == 2
        assert [path for path, _, _ in proxy.requests] == ["http://provider.example/v1/messages"]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with serving((200, {}, STREAM)) as direct:
            await streamed(direct.url)
        assert (len(proxy.requests), len(direct.requests)) == (1, 1)


@pytest.mark.parametrize(("variable", "value"), [("http_proxy", "ftp://x"), ("all_proxy", "ftp://x")])
async def test_an_invalid_proxy_is_an_error(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ProviderError, match="no connection can be made to anthropic") as caught:
        await streamed("http://127.0.0.1:1")
    assert not caught.value.retryable


async def test_an_error_event_has_the_headers_of_its_response() -> None:
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    stream = f"event: error\ndata: {json.dumps(body)}\n\n".encode()
    with (
        serving((200, {"retry-after": "9", "request-id": "req_9"}, stream)) as server,
        pytest.raises(ProviderError, match="busy") as caught,
    ):
        await streamed(server.url)
    error = caught.value
    assert (error.code, error.retry_after, error.request_id) == ("overloaded", 9.0, "req_9")


async def test_a_large_error_page_is_read_in_part() -> None:
    page = b"<html>" + b"gateway down " * 500_000
    with serving((502, {}, page)) as server, pytest.raises(ProviderError, match="gateway down") as caught:
        await streamed(server.url)
    assert (caught.value.status, len(caught.value.message) < 3000) == (502, True)
