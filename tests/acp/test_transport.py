"""What is not a message of JSON-RPC is answered with an error; the messages after it are handled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.testing.model_server import ModelServer
from agent_runtime.testing.runtime import COMMAND, environment
from tests.support.runs import bash
from tests.support.waiting import until

Json = dict[str, Any]
BROKEN = [
    (b"this is not JSON", -32700),
    (b"\xff\xfe\x00", -32700),
    (b'{"jsonrpc": "2.0", "id": 1', -32700),
    (b"null", -32600),
    (b"[]", -32600),
    (b"7", -32600),
    (b"{}", -32600),
    (b'{"id": [1], "method": "initialize"}', -32600),
    (b'{"id": 1, "method": {}}', -32600),
    (b'{"id": 1, "method": "initialize", "params": [1]}', -32600),
    (b'{"id": 1, "method": "initialize", "params": {"a": ' + b"[" * 500 + b"]" * 500 + b"}}", -32600),
    (b'{"id": 1, "method": "no/such"}', -32601),
    (b'{"id": 1, "method": "session/prompt", "params": {"sessionId": 5}}', -32602),
    (b'{"id": 1, "method": "session/prompt", "params": {"sessionId": "none", "prompt": []}}', -32002),
    (b'{"id": 1, "method": "session/new", "params": {"cwd": "relative", "mcpServers": []}}', -32602),
    (
        b'{"id": 1, "method": "session/load", "params": {"cwd": "/", "sessionId": "../x", "mcpServers": []}}',
        -32602,
    ),
    (b'{"id": 1, "method": "session/list", "params": {"cursor": "\\ud800"}}', -32602),
]


class Agent:
    """The program as an agent, by its pipes."""

    def __init__(self, server: ModelServer, state: Path) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "acp"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(server.environ("anthropic"), state),
        )

    def send(self, *lines: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"".join(line + b"\n" for line in lines))
        self.process.stdin.flush()

    def read(self) -> Json:
        assert self.process.stdout
        message: Json = json.loads(self.process.stdout.readline())
        return message

    def result(self, id: int) -> Json:
        while (message := self.read()).get("id") != id:
            pass
        result: Json = message["result"]
        return result


def request(id: int, method: str, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode()


def test_every_line_that_is_not_a_request_is_answered_with_its_error(tmp_path: Path) -> None:
    with ModelServer() as server:
        agent = Agent(server, tmp_path)
        with agent.process:
            for line, code in BROKEN:
                agent.send(b"", b'{"jsonrpc": "2.0", "method": "no/such/notification"}', line)
                answer = agent.read()
                assert (answer["error"]["code"], line) == (code, line)
            agent.send(request(2, "initialize", protocolVersion=1))
            assert agent.result(2)["protocolVersion"] == 1
            assert agent.process.stdin
            agent.process.stdin.close()
            assert agent.process.wait(60) == 0


@pytest.mark.parametrize(("number", "code"), [(None, 0), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_runs_end_with_the_program(number: signal.Signals | None, code: int, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with ModelServer([bash(f"echo $$ > {pid}.new; mv {pid}.new {pid}; sleep 1000")]) as server:
        agent = Agent(server, tmp_path / "state")
        with agent.process:
            agent.send(request(1, "session/new", cwd=str(tmp_path), mcpServers=[]))
            session = agent.result(1)["sessionId"]
            prompt = [{"type": "text", "text": "sleep"}]
            agent.send(request(2, "session/prompt", sessionId=session, prompt=prompt))
            shell = int(until(lambda: pid.read_text() if pid.exists() else None))
            assert agent.process.stdin
            if number is None:
                agent.process.stdin.close()
            else:
                agent.process.send_signal(number)
            assert agent.process.wait(60) == code
            until(lambda: not Path(f"/proc/{shell}").exists() or None)
            assert not os.path.exists(f"/proc/{shell}")  # noqa: PTH110
