"""Servers that are reached by their URL: the MCP library's own server, and servers that speak no MCP."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import Call, ModelServer, Turn
from tests.cli.standby.conftest import Running, standing
from tests.faults.standby_runs import StandbyRun
from tests.mcp.http_server import TOKEN
from tests.mcp.test_servers import call, notices, outputs, run
from tests.support.followed import running
from tests.support.ports import reserved_port
from tests.support.runs import bash
from tests.support.waiting import until


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def port() -> Iterator[int]:
    with reserved_port() as port:
        yield port


@contextmanager
def serving(port: int, *options: str) -> Iterator[str]:
    script = Path(__file__).with_name("http_server.py")
    process = subprocess.Popen([sys.executable, str(script), str(port), *options], stderr=subprocess.DEVNULL)
    try:
        until(lambda: accepts(port))
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("options", [(), ("stateless", "json")])
def test_tools_are_called_over_http(options: tuple[str, ...], port: int, workspace: Path) -> None:
    with serving(port, *options) as url:
        servers = {
            "s": {"type": "http", "url": url, "headers": {"Authorization": "${HTTP_TOKEN}"}},
            "anonymous": {"url": url},
        }
        calls = [call("echo", text="hi"), call("add", a=1, b=2), call("slow", seconds=0.1)]
        done = run(workspace, calls, servers, env={"HTTP_TOKEN": TOKEN}, options=["--partial"])
    assert [outcome for outcome, _ in outputs(done)] == ["completed"] * 3
    assert [text for _, text in outputs(done)][::2] == ["hi", "slow"]
    assert '"sum": 3' in outputs(done)[1][1]
    if not options:
        deltas = [each["delta"] for each in done.of("tool_output_delta")]
        assert "[progress: 1/2 half]\n" in deltas
    assert set(notices(done, "mcp_server_failed")) == {"anonymous"}
    assert TOKEN.removeprefix("Bearer ") not in json.dumps(done.events)


@pytest.fixture(scope="module")
def standby(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with standing(tmp_path_factory.mktemp("standby")) as running:
        yield running


def test_a_call_over_http_is_cancelled(standby: Running, port: int, tmp_path: Path) -> None:
    with serving(port) as url, ModelServer([Turn(calls=[Call("mcp__s__slow", {"seconds": 600})])]) as model:
        servers = {"s": {"url": url, "headers": {"authorization": TOKEN}}}
        trial = StandbyRun(standby, {"mcpServers": servers}, model.environ("anthropic"), tmp_path)
        trial.until("tool_call")
        trial.say(action="cancel")
        done = trial.end()
    assert done.complete["status"] == "cancelled"


class Wrong(BaseHTTPRequestHandler):
    """No MCP server; the path says what it does."""

    closing = threading.Event()

    def do_POST(self) -> None:
        kind = self.path.strip("/")
        if kind == "silent":
            self.closing.wait()
            return
        status = int(kind) if kind.isdecimal() else 200
        self.send_response(status)
        types = {"json": "application/json", "events": "text/event-stream"}
        self.send_header("Content-Type", types.get(kind, "text/html"))
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.end_headers()
        self.wfile.write({"json": b"{}", "events": b"data: {}\n\n"}.get(kind, b"<h1>hello</h1>"))

    do_GET = do_DELETE = do_POST

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def wrong() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Wrong) as server:
        server.daemon_threads, server.block_on_close = True, False
        Wrong.closing.clear()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        Wrong.closing.set()
        server.shutdown()


def test_an_address_that_is_no_mcp_server_fails_with_the_reason(workspace: Path, wrong: str) -> None:
    kinds = ("200", "302", "401", "404", "500", "json", "events", "silent")
    servers = {kind: {"url": f"{wrong}/{kind}", "startupTimeoutSec": 3} for kind in kinds}
    done = run(workspace, [], servers)
    failed = notices(done, "mcp_server_failed")
    assert set(failed) == set(kinds)
    assert all(each["details"]["error"] for each in failed.values())
    assert "HTTP 401 Unauthorized; give a valid token in its `headers`" in failed["401"]["message"]
    assert "HTTP 500" in failed["500"]["message"]
    assert done.code == 0


class Halves(BaseHTTPRequestHandler):
    """An MCP server whose texts have halves of characters; with the path /events each answer is an event in pieces."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        results = {
            "initialize": {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "s", "version": "1"},
            },
            "tools/list": {
                "tools": [{"name": "cut", "description": "x \ud83d", "inputSchema": {"type": "object"}}]
            },
            "tools/call": {"content": [{"type": "text", "text": "a \ud83d b \\ud83d \ud83d\ude00 \udc00"}]},
        }
        result = results.get(asked["method"])
        if "id" not in asked:
            self._send(202, b"", "text/plain")
            return
        outcome = {"result": result} if result else {"error": {"code": -32601, "message": "no \udc00"}}
        body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], **outcome}).encode()
        if self.path == "/events":
            self._send(200, b": hello\n\nevent: message\ndata: " + body + b"\n\n", "text/event-stream")
        else:
            self._send(200, body, "application/json")

    def do_GET(self) -> None:
        self._send(405, b"", "text/plain")

    do_DELETE = do_GET

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for start in range(0, len(body), 7):
            self.wfile.write(body[start : start + 7])
            self.wfile.flush()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def test_halves_of_characters_are_replaced(workspace: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Halves) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        servers = {name: {"url": f"{url}/{name}"} for name in ("json", "events")}
        done = run(workspace, [Call(f"mcp__{name}__cut", {}) for name in servers], servers)
        server.shutdown()
    assert outputs(done) == [("completed", "a \ufffd b \\ud83d \U0001f600 \ufffd")] * 2


@pytest.mark.parametrize("options", [(), ("stateless",)])
def test_a_server_that_restarts_is_used_again(
    options: tuple[str, ...], standby: Running, port: int, tmp_path: Path
) -> None:
    echo = Turn(calls=[Call("mcp__s__echo", {"text": "hi"})])
    is_down, is_up = threading.Event(), threading.Event()

    def while_down(request: object) -> Turn:
        assert is_down.wait(60)
        return echo

    def when_up(request: object) -> Turn:
        assert is_up.wait(60)
        return echo

    with ModelServer([echo, while_down, when_up, Turn(text="done")]) as model:
        with serving(port, *options) as url:
            servers = {"s": {"url": url, "headers": {"authorization": TOKEN}, "timeout": 60_000}}
            trial = StandbyRun(standby, {"mcpServers": servers}, model.environ("anthropic"), tmp_path)
            assert trial.until("tool_result")["output"] == "hi"
        is_down.set()
        assert trial.until("tool_result")["outcome"] == "failed"
        with serving(port, *options):
            is_up.set()
            assert trial.until("tool_result")["output"] == "hi"
            assert trial.end().code == 0


def test_a_thawed_run_connects_again(port: int, workspace: Path) -> None:
    """The server is another one after the freeze, as for a fork of a snapshot: it does not know the old session."""
    place = {"url": f"http://127.0.0.1:{port}/mcp", "headers": {"Authorization": TOKEN}}
    request = {"prompt": "go", "mcpServers": {"s": place}}
    first_call, second_call = (Turn(calls=[call("echo", text=text)]) for text in ("one", "two"))
    script = [first_call, bash("until [ -e go ]; do sleep 0.02; done"), second_call, Turn(text="done")]
    with ModelServer(script) as server, ExitStack() as first:
        first.enter_context(serving(port))
        with running(server, workspace, request=request) as following:
            following.until("tool_result")
            following.say(action="freeze")
            following.until("notice", code="frozen")
            first.close()
            with serving(port):
                following.say(action="thaw", runId="run_fork")
                following.until("notice", code="thawed")
                (workspace / "go").touch()
                done = following.end()
    answers = [(each["outcome"], each["output"]) for each in done.of("tool_result")]
    assert answers[::2] == [("completed", "one"), ("completed", "two")]
