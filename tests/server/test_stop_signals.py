"""Signals to the server: those of tools are ignored, others stop it."""

from __future__ import annotations

import signal

import pytest

from agent_runtime.testing.model_server import Turn
from tests.server.conftest import Serve


@pytest.mark.parametrize(
    "command",
    [
        "pkill -F server.pid",
        "pkill -HUP -F server.pid -f agent-runtime",
        "kill -USR1 $(cat server.pid)",
        "for i in 1 2 3; do pkill -INT -F server.pid; done",
        "env -i /usr/bin/pkill -F server.pid",
        "python3 -c 'import os, pathlib; os.kill(int(pathlib.Path(\"server.pid\").read_text()), 15)'",
    ],
)
def test_a_tool_does_not_stop_the_server(serve: Serve, command: str) -> None:
    turns = [Turn(calls=[("bash", {"command": f"{command}; echo sent $?"})]), Turn(text="done")]
    served = serve(turns, standby=True)
    (served.workspace / "server.pid").write_text(str(served.process.pid))
    with served.client() as client:
        answer = client.post("/v1/run", json={"prompt": "x", "stream": False})
        assert answer.json()["data"]["status"] == "completed", answer.text
        output = client.get(f"/v1/runs/{answer.json()['data']['runId']}/events").text
        assert "sent 0" in output
        assert client.get("/healthz").status_code == 200
    assert served.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_of_the_caller_stops_the_server(serve: Serve, number: signal.Signals) -> None:
    served = serve()
    served.process.send_signal(number)
    assert served.process.wait(20) == 0
    assert served.process.stderr
    assert served.process.stderr.read() == b""
