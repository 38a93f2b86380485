"""Signals to the server: those of tools are ignored, others stop it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from agent_runtime.server.stop_signals import StopSignals
from agent_runtime.system import signals
from agent_runtime.system.processes import Process
from agent_runtime.testing.model_server import Turn
from tests.server.conftest import Serve
from tests.server.test_runs import frames, waiting
from tests.support.waiting import until

SENDERS = [
    ("SIGTERM", ["pkill", "-F", "server.pid"]),
    ("SIGHUP", ["pkill", "-HUP", "-F", "server.pid", "-f", "agent-runtime"]),
    ("SIGUSR1", ["sh", "-c", "kill -USR1 $(cat server.pid)"]),
    *[("SIGINT", ["pkill", "-INT", "-F", "server.pid"])] * 3,
    ("SIGTERM", ["env", "-i", "/usr/bin/pkill", "-F", "server.pid"]),
    (
        "SIGTERM",
        ["python3", "-c", "import os, pathlib; os.kill(int(pathlib.Path('server.pid').read_text()), 15)"],
    ),
]
# Each sender is waited for once the server has looked at it: until then its parents can be found.
SEND = """
import json, pathlib, subprocess, time
for number, command in enumerate(json.loads(pathlib.Path("senders").read_text())):
    sender = subprocess.Popen(command)
    while not pathlib.Path(f"looked{number}").exists():
        time.sleep(0.02)
    print("sent", sender.wait())
"""


def test_tools_do_not_stop_the_server(serve: Serve) -> None:
    served = serve([Turn(calls=[("bash", {"command": "python3 send.py"})]), Turn(text="done")], standby=True)
    (served.workspace / "server.pid").write_text(str(served.process.pid))
    (served.workspace / "senders").write_text(json.dumps([command for _, command in SENDERS]))
    (served.workspace / "send.py").write_text(SEND)
    with ThreadPoolExecutor() as pool, served.client() as client:
        answer = pool.submit(client.post, "/v1/run", json={"prompt": "x", "runId": "r1", "stream": False})
        assert served.process.stderr
        for number, (name, _) in enumerate(SENDERS):
            assert f"ignored {name} from a tool" in served.process.stderr.readline().decode()
            (served.workspace / f"looked{number}").touch()
        assert answer.result().json()["data"]["status"] == "completed"
        [result] = [event for event in events(client, "r1") if event["type"] == "tool_result"]
        assert result["output"].split() == ["sent", "0"] * len(SENDERS)
        assert client.get("/healthz").status_code == 200


def events(client: httpx2.Client, run_id: str) -> list[dict[str, Any]]:
    return [event for _, _, event in frames(client.get(f"/v1/runs/{run_id}/events").text)]


def test_a_signal_of_a_program_that_has_exited_is_ignored_while_tools_run(serve: Serve) -> None:
    served = serve([waiting(), Turn(text="done")])
    with ThreadPoolExecutor() as pool, served.client() as client:
        answer = pool.submit(client.post, "/v1/run", json={"prompt": "x", "stream": False})
        until((served.workspace / "started").exists)
        served.process.send_signal(signal.SIGSTOP)  # looks at the signal after the sender has been reaped
        subprocess.run(["/usr/bin/env", "kill", "-TERM", str(served.process.pid)], check=True)
        served.process.send_signal(signal.SIGCONT)
        assert served.process.stderr
        assert "ignored SIGTERM from pid" in served.process.stderr.readline().decode()
        (served.workspace / "go").touch()
        assert answer.result().json()["data"]["status"] == "completed"
    served.process.terminate()  # this sender is alive
    assert served.process.wait(60) == 0


@pytest.mark.parametrize(
    ("marker", "tools", "other_user", "ignored"),
    [
        (None, ["run1.2"], False, True),
        (None, ["run1.2"], True, False),
        (None, [None], False, False),
        (None, [], False, False),
        ("run1.2", ["run1.3", None], False, False),
        ("run1.2", ["run1.3", "run2.1"], False, True),
    ],
)
def test_a_sender_that_has_exited_counts_as_a_tool_while_tools_live(
    monkeypatch: pytest.MonkeyPatch,
    marker: str | None,
    tools: list[str | None],
    other_user: bool,
    ignored: bool,
) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    table = {number: SimpleNamespace(marker=tool) for number, tool in enumerate(tools)}
    monkeypatch.setattr(signals, "all_processes", lambda: table)
    monkeypatch.setattr(Process, "own", lambda: SimpleNamespace(marker=marker))
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        stop = StopSignals()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
    assert bool(stop._ignored(ended.pid, os.getuid() + other_user)) == ignored
    assert not stop._ignored(0, os.getuid())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_of_the_caller_stops_the_server(serve: Serve, number: signal.Signals) -> None:
    served = serve()
    served.process.send_signal(number)
    assert served.process.wait(60) == 0
    assert served.process.stderr
    assert served.process.stderr.read() == b""


def test_a_client_that_waits_gets_503_when_the_server_stops(serve: Serve) -> None:
    served = serve([waiting(), Turn(text="done")], "--drain", "1")
    with ThreadPoolExecutor() as pool, served.client() as client:
        answer = pool.submit(client.post, "/v1/run", json={"prompt": "x", "stream": False})
        until((served.workspace / "started").exists)
        served.process.terminate()
        response = answer.result()
    assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")
    assert response.headers["retry-after"] == "1"
    assert served.process.wait(60) == 0
    assert served.process.stderr and b"Traceback" not in served.process.stderr.read()
