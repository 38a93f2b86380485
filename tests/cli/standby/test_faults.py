"""What may happen to a standby and its clients."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.runtime import COMMAND, check, environment
from tests.cli.standby.conftest import Running, asked, standing
from tests.support.runs import bash
from tests.support.waiting import until

BEGINNINGS = [b"", b"{", b'{"prompt": "x', b'{"standby": {}}\n', b"[]\n", b"\0\xff\n", b'{"prompt": 1}\n']


@pytest.mark.parametrize("half", [True, False], ids=["shutdown", "close"])
def test_clients_that_vanish_leave_nothing(standby: Running, workspace: Path, half: bool) -> None:
    with ModelServer([Turn(text="ok")], repeat_last=True) as server:
        request = asked(server, workspace=str(workspace))
        for data in [*BEGINNINGS, json.dumps(request).encode(), json.dumps(request).encode() + b"\n"]:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(standby.path))
                client.sendall(data)
                if half:
                    client.shutdown(socket.SHUT_WR)
        until(lambda: not standby.children())
        assert standby.run(request).events()[-1]["output"] == "ok"


def test_a_burst_of_clients_is_served_beside_silent_ones(standby: Running, workspace: Path) -> None:
    with ModelServer([Turn(text="ok")], repeat_last=True) as server:
        silent = [socket.socket(socket.AF_UNIX) for _ in range(5)]
        for client in silent:
            client.connect(str(standby.path))
        runs = [standby.run(asked(server, workspace=str(workspace))) for _ in range(50)]
        assert [run.events()[-1]["output"] for run in runs] == ["ok"] * 50
        for client in silent:
            client.close()
        until(lambda: not standby.children())


def test_runs_go_on_when_their_standby_is_killed(workspace: Path, tmp_path: Path) -> None:
    wait = "touch here; until [ -e go ]; do sleep 0.05; done; echo there"
    with ModelServer([bash(wait), Turn(text="ok")]) as server, standing(tmp_path) as standby:
        run = subprocess.Popen(
            [*COMMAND, "run", "--socket", str(standby.path), "--prompt", "x", "--workspace", str(workspace)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=environment(server.environ("anthropic"), tmp_path / "state"),
        )
        until((workspace / "here").exists)
        standby.process.send_signal(signal.SIGKILL)
        standby.process.wait()
        (workspace / "go").touch()
        out, _ = run.communicate(timeout=60)
    check([json.loads(line) for line in out.splitlines()], 0)
    assert run.returncode == 0


def test_only_one_of_two_standbys_started_at_once_listens(tmp_path: Path) -> None:
    path = tmp_path / "standby.sock"
    with socket.socket(socket.AF_UNIX) as dead:  # left by a standby that was killed
        dead.bind(str(path))
    command = [*COMMAND, "standby", "--socket", str(path)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    lines = [process.stderr.readline() for process in both if process.stderr]
    assert sorted("standing by" in line for line in lines) == [False, True]
    (winner,) = (process for process, line in zip(both, lines, strict=True) if "standing by" in line)
    (loser,) = (process for process in both if process is not winner)
    assert "another standby listens there" in "".join(lines)
    assert loser.wait(60) == 1
    winner.terminate()
    assert (winner.wait(60), path.exists()) == (0, False)
    for process in both:
        assert process.stderr
        process.stderr.close()


@pytest.mark.parametrize("path", ["", "x" * 108, "long" * 30 + "/standby.sock"])
@pytest.mark.parametrize("command", [["standby"], ["run", "--prompt", "x"]])
def test_a_path_too_long_for_a_socket_is_refused(command: list[str], path: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, *command, "--socket", path],
        capture_output=True,
        text=True,
        env=environment({}, tmp_path / "state"),
    )
    assert (
        done.returncode,
        f"--socket: expected a path of 1 to 107 bytes, got {len(path)}" in done.stderr,
    ) == (2, True)
