"""Servers that the agent's commands start, through the real program."""

from __future__ import annotations

import os
import signal
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import Call, ModelServer, Scripted, Turn
from agent_runtime.testing.runtime import Json, Result, run
from tests.support.followed import running
from tests.support.runs import bash

# Each server listens on a port of the kernel's choice, and writes it to the file `port`.
# This one has the port in its command line, as servers of people have: it is bound, and executed again with it.
COUNTER = """
import http.server, os, socket, sys
class Handler(http.server.BaseHTTPRequestHandler):
    visits = 0
    def do_GET(self):
        Handler.visits += 1
        self.send_response(200); self.end_headers(); self.wfile.write(b"visit %d" % Handler.visits)
if len(sys.argv) == 1:
    bound = socket.socket()
    bound.bind(("0.0.0.0", 0))
    bound.set_inheritable(True)
    port = str(bound.getsockname()[1])
    os.execv(sys.executable, [sys.executable, "counter.py", port, str(bound.fileno())])
server = http.server.HTTPServer(("0.0.0.0", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=int(sys.argv[2]))
server.server_activate()
open("port.new", "w").write(sys.argv[1])
os.rename("port.new", "port")
server.serve_forever()
"""
# Listens on ports that it does not announce before and, as soon as there is the file `go`, after its own.
MANY_PORTS = """
import os, signal, socket, sys, time
held = [socket.create_server(("127.0.0.1", 0)), socket.create_server(("0.0.0.0", 0))]
port = held[1].getsockname()[1]
open("port.new", "w").write(str(port))
os.rename("port.new", "port")
while not os.path.exists("go"): time.sleep(0.01)
held.append(socket.create_server(("127.0.0.1", 0)))
print(f"Ready on http://localhost:{port}/base", flush=True)
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


PYTHON = sys.executable
UNTIL_LISTENING = "until [ -e port ]; do sleep 0.02; done"


def port_of(workspace: Path) -> int:
    """The port that the server of the workspace has."""
    return int((workspace / "port").read_text())


@contextmanager
def ran(workspace: Path, *turns: Scripted) -> Iterator[Result]:
    """A run with these turns. What it left running is ended after it."""
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


def test_no_unrequested_http_request_reaches_a_server(workspace: Path) -> None:
    (workspace / "counter.py").write_text(COUNTER)

    def get_dev_url(**arguments: object) -> Scripted:
        return lambda _: Turn(calls=[Call("get_dev_url", {"port": port_of(workspace), **arguments})])

    with ran(
        workspace,
        bash(f"{PYTHON} counter.py >/dev/null 2>&1 & {UNTIL_LISTENING}"),
        get_dev_url(),
        Turn(calls=[Call("get_dev_url", {})]),
        bash(
            f'{PYTHON} -c "import urllib.request as u; '
            "print(u.urlopen('http://127.0.0.1:' + open('port').read()).read())\""
        ),
        get_dev_url(check=True),
    ) as done:
        port = port_of(workspace)
        assert done.complete["devUrl"] == f"http://localhost:{port}"
        assert "visit 1" in outputs(done)[3]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=60) as answer:
            assert answer.read() == b"visit 3"
        assert done.complete["devUrls"][0]["http"] is True


def test_the_url_of_a_server_with_many_ports_is_its_announced_one(workspace: Path) -> None:
    (workspace / "many.py").write_text(MANY_PORTS)
    first = bash(f"{PYTHON} many.py >log 2>&1 & {UNTIL_LISTENING}")
    with ran(workspace, first, bash("touch go; until grep -q Ready log; do sleep 0.02; done")) as done:
        port = port_of(workspace)
        assert done.complete["devUrl"] == f"http://localhost:{port}/base"
        logs: list[Json] = [server for server in done.complete["devUrls"] if server["logFile"]]
        assert len(logs) == 3 and {server["logFile"] for server in logs} == {str(workspace / "log")}
        assert [left["port"] for left in done.complete["left"]] == [port]


@pytest.mark.parametrize(("tool", "argument"), [("bash", "command"), ("exec_command", "cmd")])
def test_a_server_that_ended_with_its_call_is_not_reported_as_listening(
    workspace: Path, tool: str, argument: str
) -> None:
    (workspace / "counter.py").write_text(COUNTER)
    command = f"{PYTHON} counter.py & until [ -e reported ]; do sleep 0.02; done; kill $!; wait"
    call = Call(tool, {argument: command} | ({"yield_time_ms": 30_000} if tool == "exec_command" else {}))
    with (
        ModelServer([Turn(calls=[call]), Turn(text="done")]) as model,
        running(model, workspace, "--tools", tool) as following,
    ):
        following.until("dev_url", status="up")
        (workspace / "reported").touch()
        done = following.end()
    (output,) = outputs(done)
    assert "is listening" not in output and "has stopped listening" in output
    assert [event["status"] for event in done.of("dev_url")] == ["up", "down"]
    assert (done.complete["devUrl"], done.complete["devUrls"]) == (None, [])


def test_a_server_that_ended_with_the_time_of_its_call_is_not_reported_as_listening(workspace: Path) -> None:
    (workspace / "counter.py").write_text(COUNTER)
    with ran(workspace, bash(f"{PYTHON} counter.py", timeout=2)) as done:
        (output,) = outputs(done)
        seen = [event["status"] for event in done.of("dev_url")]
        assert seen in (["up", "down"], [])  # on a busy machine it may have ended before it was noticed
        assert "is listening" not in output
        assert (done.complete["devUrl"], done.complete["devUrls"]) == (None, [])


def test_a_server_started_for_the_run_by_an_earlier_daemon_is_reported(workspace: Path) -> None:
    (workspace / "counter.py").write_text(COUNTER)
    (workspace / "daemon.py").write_text(DAEMON)
    start = f"{PYTHON} daemon.py >/dev/null 2>&1 & until [ -p commands ]; do sleep 0.02; done"
    with ran(workspace, bash(start)):
        pass
    try:
        with ran(workspace, bash(f"echo exec {PYTHON} counter.py >commands; {UNTIL_LISTENING}")) as done:
            port = port_of(workspace)
            assert f"listening on port {port} " in outputs(done)[0]
            assert done.complete["devUrl"] == f"http://localhost:{port}"
    finally:
        os.kill(int((workspace / "pid").read_text()), signal.SIGKILL)
