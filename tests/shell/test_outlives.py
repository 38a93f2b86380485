"""What a call left running lives on after the runtime, and can still write (claude-code#61416, #25629)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent_runtime.shell import output_log
from agent_runtime.shell.output_log import BoundedLog
from agent_runtime.system.processes import Process
from tests.support.waiting import until

PROGRAM = """
import os, sys
from pathlib import Path
import anyio
from agent_runtime.shell.truncation import OutputStore
from agent_runtime.shell.session_manager import SessionManager
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.shell.shell import Shell
from tests.support.waiting import until_async

SERVER = (
    "trap 'echo hup >> hups' HUP PIPE; n=0; echo $BASHPID > pid; "
    "while :; do n=$((n+1)); echo line $n; echo err $n >&2; sleep 0.05; done"
)

async def main():
    home, how = Path(sys.argv[1]), sys.argv[2]
    settings = ShellSettings(home, dict(os.environ), OutputStore(home / "logs"))
    shell, sessions = Shell(settings), SessionManager(settings)
    if how == "shell":
        await shell.run(f"({SERVER}) &", timeout=60, call_id="c", tokens=100)
    else:
        await sessions.open(SERVER, cwd=None, tty=how == "tty", seconds=0, tokens=100, call_id="c")
    pid = home / "pid"
    await until_async(lambda: pid.exists() and pid.read_text())
    if sys.argv[3] == "kill -9":
        os.kill(os.getpid(), 9)
    await shell.aclose(kill=sys.argv[3] == "kill")
    await sessions.aclose(kill=sys.argv[3] == "kill")

anyio.run(main)
"""


def start(tmp_path: Path, how: str, end: str) -> tuple[Process | None, Path]:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    subprocess.run(
        [sys.executable, str(program), str(tmp_path), how, end],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    return Process.of(int((tmp_path / "pid").read_text())), tmp_path / "logs/c.log"


@pytest.mark.parametrize(
    ("how", "end"), [("shell", "leave"), ("pipe", "leave"), ("tty", "leave"), ("shell", "kill -9")]
)
def test_a_server_outlives_the_run_and_writes_its_log(tmp_path: Path, how: str, end: str) -> None:
    server, log = start(tmp_path, how, end)
    assert server is not None and not server.gone
    try:
        until(log.exists)
        size = log.stat().st_size
        until(lambda: log.stat().st_size >= size + 200)
        assert not (tmp_path / "hups").exists()  # it works, and does not wait for input
        lines = log.read_text().replace("\r", "").split("\n")[:-1]
        numbers = [int(line.split()[1]) for line in lines if line.startswith("line ")]
        assert numbers == list(range(1, len(numbers) + 1))
        assert "err 1" in lines
    finally:
        server.send(signal.SIGKILL)


@pytest.mark.parametrize("how", ["shell", "pipe", "tty"])
def test_a_server_ends_with_the_run_when_that_is_wanted(tmp_path: Path, how: str) -> None:
    server, _ = start(tmp_path, how, "kill")
    assert server is None or server.gone


def test_a_log_writer_ends_with_its_last_writer_and_bounds_the_log(tmp_path: Path) -> None:
    log = BoundedLog(str(tmp_path / "log"), 1_000_000)
    done = subprocess.run(
        [sys.executable, "-S", output_log.__file__],
        env=output_log.settings(log),
        input=b"".join(b"%d\n" % n for n in range(1_000_000)),
        timeout=120,
        check=True,
    )
    text = (tmp_path / "log").read_bytes()
    assert done.returncode == 0
    assert len(text) <= 1_000_000
    assert text.startswith(b"0\n1\n2\n") and text.endswith(b"\n999999\n")
    resumed = BoundedLog.resumed(log.path, log.limit)
    assert (resumed.size, f"... {resumed.cut} bytes cut".encode() in text) == (len(text), True)
