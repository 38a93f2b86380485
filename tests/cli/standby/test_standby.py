"""A standby forks a run for each connection: fast, apart from each other, and leaving nothing behind."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import ModelServer, Request, Turn
from agent_runtime.testing.runtime import COMMAND, environment
from tests.cli.standby.conftest import Running, asked, standing
from tests.support.runs import bash
from tests.support.waiting import until


def test_concurrent_runs_are_isolated(standby: Running, tmp_path: Path) -> None:
    """Each waits for the file that the other's tool makes, then prints its directory, variables and pid."""

    def turn(request: Request) -> Turn:
        me, other = ("one", "two") if "I am one" in str(request.body["messages"]) else ("two", "one")
        wait = f"until [ -e ../{other}/here ]; do sleep 0.05; done"
        return bash(f"touch here; {wait}; ls; pwd; echo $WHO-$ONLY_{me}-$PPID; export WHO=x; cd /")

    def answer(request: Request) -> Turn:
        asked = str(request.body["messages"][-1])
        return Turn(text="done") if "tool_result" in asked else turn(request)

    with ModelServer([answer], repeat_last=True) as server:
        clients = {}
        for who in ("one", "two"):
            (tmp_path / who).mkdir()
            env = {"WHO": who, f"ONLY_{who}": "yes"}
            place = {"workspace": str(tmp_path / who), "env": env, "runId": f"run_{who}"}
            clients[who] = standby.run(asked(server, prompt=f"I am {who}", **place))
        streams = {who: client.events() for who, client in clients.items()}
    assert server.violations == []
    said: dict[str, list[str]] = {}
    for who, events in streams.items():
        (result,) = [event for event in events if event["type"] == "tool_result"]
        said[who] = result["output"].split()
        assert {event["runId"] for event in events} == {f"run_{who}"}
        assert events[-1]["files"] == [str(tmp_path / who / "here")]
        assert said[who][:2] == ["here", str(tmp_path / who)]
        assert said[who][2].startswith(f"{who}-yes-")
    assert said["one"][2].split("-")[2] != said["two"][2].split("-")[2]


@pytest.mark.timed
def test_the_first_event_comes_earlier_than_from_a_new_process(
    standby: Running, workspace: Path, tmp_path: Path
) -> None:
    with ModelServer([Turn(text="ok")], repeat_last=True) as server:
        request = asked(server, workspace=str(workspace))
        warm, cold = [], []
        for _ in range(4):
            began = time.monotonic()
            client = standby.run(request)
            assert client.event()["type"] == "start"
            warm.append(time.monotonic() - began)
            client.until("complete")
            client.close()

            began = time.monotonic()
            with subprocess.Popen(
                [*COMMAND, "run"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment({}, tmp_path / "state"),
            ) as run:
                assert run.stdin and run.stdout
                run.stdin.write(json.dumps(request).encode())
                run.stdin.flush()
                assert b'"start"' in run.stdout.readline()
                cold.append(time.monotonic() - began)
                run.kill()
    assert min(warm) < min(cold) / 1.3, (warm, cold)


def test_fifty_runs_leave_no_zombie_and_no_descriptor(standby: Running, workspace: Path) -> None:
    with ModelServer([Turn(text="ok")], repeat_last=True) as server:
        request = asked(server, workspace=str(workspace))
        standby.run(request).events()
        until(lambda: not standby.children())
        before = standby.descriptors()
        for _ in range(10):
            clients = [standby.run(request) for _ in range(5)]
            assert [client.events()[-1]["output"] for client in clients] == ["ok"] * 5
        until(lambda: not standby.children())
        until(lambda: standby.descriptors() == before)


def test_control_messages_follow_the_request(standby: Running, workspace: Path) -> None:
    with ModelServer([bash("echo begun; sleep 300"), Turn(text="ok")]) as server:
        client = standby.run(asked(server, workspace=str(workspace)))
        client.until("tool_call")
        client.say({"action": "cancel"})
        complete = client.until("complete")
        assert (complete["status"], complete["stopReason"]) == ("cancelled", "cancelled")
        assert client.socket.recv(1) == b""
        client.close()


def test_closing_the_connection_ends_the_run_and_its_processes(standby: Running, workspace: Path) -> None:
    with ModelServer(
        [bash("sleep 300 & setsid sleep 300 & echo $$ $(jobs -p) > pids; mv pids there; sleep 300")]
    ) as server:
        client = standby.run(asked(server, workspace=str(workspace)))
        until((workspace / "there").exists)
        pids = (workspace / "there").read_text().split()
        client.close()
        until(lambda: not standby.children())
        assert len(pids) == 3
        until(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()])  # init reaps them


def test_the_socket_is_private_and_removed_at_the_end(workspace: Path, tmp_path: Path) -> None:
    path = tmp_path / "standby.sock"
    with socket.socket(socket.AF_UNIX) as dead:  # left by a standby that was killed
        dead.bind(str(path))
    script = [bash("grep -c sk-ant-loopback /proc/*/environ"), bash("sleep 300")]
    with ModelServer(script) as server, standing(tmp_path, server.environ("anthropic")) as standby:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        code, out, errors = another(path)
        assert (code, out, "another standby listens there" in errors) == (1, "", True)
        bad = standby.run({"prompt": 1}).events(code=2)
        assert [event["type"] for event in bad] == ["error", "complete"]

        client = standby.run({"prompt": "hi", "workspace": str(workspace)})
        assert f"/proc/{standby.pid}/environ:1" not in client.until("tool_result")["output"]
        client.until("tool_call")
        standby.process.terminate()
        complete = client.until("complete")
        client.close()
        assert standby.process.wait(60) == 0
        assert (complete["status"], path.exists()) == ("cancelled", False)

    path.write_text("a file of somebody's")
    assert (another(path)[0], path.read_text()) == (1, "a file of somebody's")


def another(path: Path) -> tuple[int, str, str]:
    """A second standby at the same place."""
    command = [*COMMAND, "standby", "--socket", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr
