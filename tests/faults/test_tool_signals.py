"""Signals that tools send to the runtime do not cancel the run; those of the caller do.

Each run is in a PID namespace of its own: the commands would find other processes of the machine.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from agent_runtime.system.signals import CATCHABLE, STOPPING, name_of
from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.runtime import COMMAND, Result, environment, result
from tests.support.runs import bash, start_run
from tests.support.waiting import until

NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="making a process namespace takes root"
)

NOTE = "the program that runs these tools (pid "
MISSED = [  # by its name and command line
    "pkill -f python",
    'pkill -f "$PWD"',
    "pkill python",
    "killall python3 python",
    "kill $(pidof python3) 2>/dev/null",
    "pkill -9 -f 'run --'",
]
IGNORED = [
    "kill $PPID",
    "for n in {1..8} {10..16} {20..22} {24..27} {29..64}; do kill -$n $PPID; done",  # all but KILL and STOP
    "for i in {1..9}; do /bin/kill -SEGV $PPID; (exit); /bin/kill -TSTP $PPID; done",  # while it starts programs
    "pkill -f agent-runtime",
    "killall agent-runtime",
    "(sleep 300 &); sleep 0.2; kill $(ps -o ppid= -p $(pgrep -x sleep)); pkill -x sleep",
    "python3 -c \"import os, signal; [os.kill(int(os.environ['P']), signal.SIGTERM) for _ in range(3)]\"",
    "(setsid sh -c 'env -i kill $0; touch sent' $PPID &); until [ -e sent ]; do sleep 0.01; done",
    "env -i sh -c 'sleep 0.1; kill $0' $PPID & wait",
]
# waits until no signal is pending for the runtime, which then has a moment to note the last one
TAKEN = "until grep -q '^ShdPnd:.0*$' /proc/$PPID/status; do sleep 0.01; done; sleep 0.2"
CALLERS = [signal.SIGTERM, signal.SIGINT, signal.SIGPROF, signal.SIGABRT, signal.SIGSEGV, signal.SIGRTMIN + 5]
WRITES = "while :; do echo tick; sleep 0.02; done & echo $!"
TICKS = """log=$(ls -t ../state/agent-runtime/runs/*/logs/*.log | tail -1); before=$(wc -c <$log)
until [ $(wc -c <$log) -gt $((before + 50)) ]; do sleep 0.05; done; kill -0 %1 && echo ticking"""


def run(script: list[Turn], workspace: Path) -> Result:
    with ModelServer(script) as server:
        done = subprocess.run(
            [*NAMESPACE, "sh", "-c", '"$@"; exit $?', "sh", *COMMAND, "run"],
            input=json.dumps({"prompt": "x", "workspace": str(workspace)}).encode(),
            capture_output=True,
            env=environment(server.environ("anthropic"), workspace.parent / "state"),
            timeout=150,
        )
    return result(done.stdout, done.returncode, done.stderr)


def test_a_signal_of_a_tool_is_ignored_and_reported(workspace: Path) -> None:
    commands = [f"P=$PPID; export P; {command}; {TAKEN}; echo after" for command in [*MISSED, *IGNORED]]
    done = run([*map(bash, commands), Turn(text="done")], workspace)
    assert (done.code, done.complete["output"]) == (0, "done")
    outputs = [event["output"] for event in done.of("tool_result")]
    assert [command for command, output in zip(commands, outputs, strict=True) if "after" not in output] == []
    noted = [NOTE in output for output in outputs]
    assert noted == [False] * len(MISSED) + [True] * len(IGNORED), outputs
    everything = outputs[len(MISSED) + 1]
    names = {name_of(number) for number in CATCHABLE}
    assert {
        name for name in names if f"{name}, " not in everything and f"{name} from pid" not in everything
    } == set()


@pytest.mark.parametrize(
    "attack",
    [
        "pkill python; killall -q python3; pkill -f output_log; pkill -f logs/; true",
        "pkill agent-log; pkill -INT agent-log; pkill -HUP agent-log; true",
        "pkill -9 agent-log; sleep 0.3; pkill -9 agent-log; true",
    ],
)
def test_a_background_server_keeps_its_log(attack: str, workspace: Path) -> None:
    done = run([bash(WRITES), bash(attack), bash(TICKS, timeout=60), Turn(text="done")], workspace)
    assert done.code == 0
    assert "ticking" in done.of("tool_result")[2]["output"]


@pytest.mark.parametrize("how", ["program", *CALLERS])
def test_a_signal_of_the_caller_cancels_while_a_tool_runs(how: str | int, workspace: Path) -> None:
    with ModelServer([bash("touch started; sleep 60")]) as server:
        process = start_run(server, workspace, "--prompt", "x")
        until((workspace / "started").exists)
        sender: subprocess.Popen[bytes] | None = None
        if isinstance(how, int):
            process.send_signal(how)
        else:  # its sender stays alive, as timeout(1) does
            sender = subprocess.Popen(
                ["sh", "-c", "kill $0; read line", str(process.pid)], stdin=subprocess.PIPE
            )
        out, _ = process.communicate(timeout=60)
        if sender:
            sender.communicate()
    code = 130 if how == signal.SIGINT else 143
    assert result(out, process.returncode, b"").code == code


@pytest.mark.parametrize("command", ["kill $P", "env -i /bin/kill -INT $P", "pkill -HUP -F pid"])
def test_a_tool_of_another_run_does_not_cancel(command: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    waits = bash("touch started; until [ -e go ]; do sleep 0.02; done")
    with ModelServer([waits, Turn(text="done")]) as server:
        process = start_run(server, first, "--prompt", "x")
        until((first / "started").exists)
        (second / "pid").write_text(str(process.pid))
        with ModelServer([bash(f"P=$(cat pid); {command}"), Turn(text="done")]) as other:
            killer = start_run(other, second, "--prompt", "x", stdout=subprocess.DEVNULL)
            killer.communicate(timeout=60)
            assert killer.returncode == 0
        (first / "go").touch()
        out, errors = process.communicate(timeout=60)
    assert result(out, process.returncode, errors).code == 0


@pytest.mark.parametrize("number", sorted(STOPPING))
def test_a_caller_stops_the_program_and_continues_it(number: int, workspace: Path) -> None:
    with ModelServer([bash("touch started; sleep 60")]) as server:
        process = start_run(server, workspace, "--prompt", "x")
        until((workspace / "started").exists)
        process.send_signal(number)
        stopped = os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        assert stopped and stopped.si_status == signal.SIGSTOP
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert result(out, process.returncode, b"").code == 143


def test_a_tool_does_not_signal_the_standby_or_its_client(workspace: Path, tmp_path: Path) -> None:
    attack = (
        f"for n in TERM TSTP SEGV USR1 PROF INT; do pkill -$n -f agent-runtime; done; {TAKEN}; echo after"
    )
    socket = tmp_path / "standby.sock"
    wait = f"until [ -S {socket} ]; do sleep 0.05; done"
    command = (
        f'"$@" standby --socket {socket} & {wait}; s=$!; "$@" run --socket {socket} --prompt x; code=$?;'
        " kill -0 $s || exit 99; kill $s; wait $s; exit $((code + $?))"
    )
    with ModelServer([bash(attack), Turn(text="done")]) as server:
        done = subprocess.run(
            [*NAMESPACE, "bash", "-c", command, "bash", *COMMAND],
            capture_output=True,
            env=environment(server.environ("anthropic"), workspace.parent / "state"),
            stdin=subprocess.DEVNULL,
            cwd=workspace,
            timeout=60,
        )
    (output,) = [event["output"] for event in result(done.stdout, done.returncode, b"").of("tool_result")]
    assert (done.returncode, "after" in output, NOTE in output) == (0, True, True), done.stderr


def test_a_process_started_before_exec_may_signal_the_runtime(workspace: Path) -> None:
    """A watchdog that its launcher left below it."""
    with ModelServer([bash("touch started; sleep 60")]) as server:
        # it outlives the signal that it sends
        watchdog = (
            'until [ -e "$0/started" ]; do sleep 0.05; done; kill $1; while kill -0 $1; do sleep 0.05; done'
        )
        command = f'(setsid sh -c \'{watchdog}\' "$0" $$ >/dev/null 2>&1) & exec "$@"'
        done = subprocess.run(
            [
                "sh",
                "-c",
                command,
                str(workspace),
                *COMMAND,
                "run",
                "--prompt",
                "x",
                "--workspace",
                str(workspace),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(server.environ("anthropic"), workspace.parent / "state"),
            timeout=60,
        )
    assert result(done.stdout, done.returncode, done.stderr).code == 143
