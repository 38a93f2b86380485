"""Servers that the agent's commands start, through the real program."""

from __future__ import annotations

import os
import signal
import socket
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import Call, ModelServer, Turn
from agent_runtime.testing.runtime import Json, Result, run

COUNTER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    visits = 0
    def do_GET(self):
        Handler.visits += 1
        self.send_response(200); self.end_headers(); self.wfile.write(b"visit %d" % Handler.visits)
http.server.HTTPServer(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
"""
# Listens on a port of the kernel's choice before and, as soon as there is the file `go`, after its own.
MANY_PORTS = """
import os, signal, socket, sys, time
held = [socket.create_server(("127.0.0.1", 0))]
held.append(socket.create_server(("0.0.0.0", int(sys.argv[1]))))
while not os.path.exists("go"): time.sleep(0.01)
held.append(socket.create_server(("127.0.0.1", 0)))
print(f"Ready on http://localhost:{sys.argv[1]}/base", flush=True)
signal.pause()
"""
# Runs each line that it reads from the FIFO `commands`.
DAEMON = """
import os, subprocess
open("pid", "w").write(str(os.getpid()))
os.mkfifo("commands")
while True:
    with open("commands") as fifo:
        for line in fifo: subprocess.Popen(line, shell=True, env={"PATH": os.environ["PATH"]})
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    return number


def until_listening(port: int) -> str:
    """A command that waits until something listens on a port."""
    return f"until grep -q ':{port:04X} 00000000:0000 0A' /proc/net/tcp; do sleep 0.02; done"


@contextmanager
def ran(workspace: Path, *calls: str | Call) -> Iterator[Result]:
    """A run with these calls, each in a turn of its own. What it left running is ended after it."""
    turns = [Turn(calls=[Call("bash", {"command": c}) if isinstance(c, str) else c]) for c in calls]
    with ModelServer([*turns, Turn(text="done")]) as model:
        tools = ["bash", "get_dev_url", "exec_command"]
        done = run({"prompt": "x", "tools": tools}, workspace, model.environ("anthropic"))
    try:
        assert (done.code, model.violations) == (0, [])
        yield done
    finally:
        for server in done.complete["devUrls"]:
            with suppress(ProcessLookupError):
                os.kill(server["pid"], signal.SIGKILL)


def outputs(done: Result) -> list[str]:
    return [event["output"] for event in done.of("tool_result")]


def test_no_unrequested_http_request_reaches_a_server(workspace: Path, port: int) -> None:
    (workspace / "counter.py").write_text(COUNTER)
    with ran(
        workspace,
        f"{sys.executable} counter.py {port} >/dev/null 2>&1 & {until_listening(port)}",
        Call("get_dev_url", {"port": port}),
        Call("get_dev_url", {}),
        f"{sys.executable} -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}').read())\"",
        Call("get_dev_url", {"port": port, "check": True}),
    ) as done:
        assert done.complete["devUrl"] == f"http://localhost:{port}"
        assert "visit 1" in outputs(done)[3]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=10) as answer:
            assert answer.read() == b"visit 3"
        assert done.complete["devUrls"][0]["http"] is True


def test_the_url_of_a_server_with_many_ports_is_its_announced_one(workspace: Path, port: int) -> None:
    (workspace / "many.py").write_text(MANY_PORTS)
    first = f"{sys.executable} many.py {port} >log 2>&1 & {until_listening(port)}"
    with ran(workspace, first, "touch go; until grep -q Ready log; do sleep 0.02; done") as done:
        assert done.complete["devUrl"] == f"http://localhost:{port}/base"
        logs: list[Json] = [server for server in done.complete["devUrls"] if server["logFile"]]
        assert len(logs) == 3 and {server["logFile"] for server in logs} == {str(workspace / "log")}
        assert [left["port"] for left in done.complete["left"]] == [port]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("bash", {"command": "{python} -m http.server {port}", "timeout": 4}),
        ("bash", {"command": "timeout 4 {python} -m http.server {port}; echo over"}),
        ("bash", {"command": "{python} -m http.server {port} & {listening}; sleep 1; kill $!"}),
        ("exec_command", {"cmd": "timeout 4 {python} -m http.server {port}", "yield_time_ms": 9000}),
    ],
    ids=["time of the call", "timeout", "kill", "session"],
)
def test_a_server_that_ended_with_its_call_is_not_reported_as_listening(
    workspace: Path, port: int, tool: str, arguments: Json
) -> None:
    filled = {
        name: value.format(python=sys.executable, port=port, listening=until_listening(port))
        if isinstance(value, str)
        else value
        for name, value in arguments.items()
    }
    with ran(workspace, Call(tool, filled)) as done:
        (output,) = outputs(done)
        assert "is listening" not in output and "has stopped listening" in output
        assert [event["status"] for event in done.of("dev_url")] == ["up", "down"]
        assert (done.complete["devUrl"], done.complete["devUrls"]) == (None, [])


def test_a_server_started_for_the_run_by_an_earlier_daemon_is_reported(workspace: Path, port: int) -> None:
    (workspace / "daemon.py").write_text(DAEMON)
    start = f"{sys.executable} daemon.py >/dev/null 2>&1 & until [ -p commands ]; do sleep 0.02; done"
    with ran(workspace, start):
        pass
    try:
        ask = f"echo exec {sys.executable} -m http.server {port} >commands; {until_listening(port)}"
        with ran(workspace, ask) as done:
            assert f"listening on port {port} " in outputs(done)[0]
            assert done.complete["devUrl"] == f"http://localhost:{port}"
    finally:
        os.kill(int((workspace / "pid").read_text()), signal.SIGKILL)
