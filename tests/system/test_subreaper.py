"""No zombies, and no wait status stolen, as a subreaper and as PID 1."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, os, subprocess, sys, time
from pathlib import Path
import anyio
from agent_runtime.shell.truncation import OutputStore
from agent_runtime.system.process_tree import children
from agent_runtime.system.subreaper import Subreaper, become_subreaper
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.shell.shell import Shell
from tests.support.waiting import until_async

async def main():
    become_subreaper()
    home = Path(sys.argv[1])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Subreaper().run)
        await anyio.lowlevel.checkpoint()
        shell = Shell(ShellSettings(home, dict(os.environ), OutputStore(home)))
        waiting = subprocess.Popen(["sh", "-c", "exit 7"])
        statuses = []
        async def own():
            for code in range(40):
                done = await anyio.run_process(["sh", "-c", f"sleep 0.02; exit {code}"], check=False)
                statuses.append(done.returncode == code)
        tasks.start_soon(own)
        forks = "for n in {1..1000}; do ( : & ); done; exit 9"
        result = await shell.run(forks, timeout=60, call_id="a", tokens=100)
        await until_async(lambda: len(statuses) == 40)
        def zombies():
            return [c for c in children(os.getpid()) if c.state == "Z" and c.pid != waiting.pid]
        await shell.aclose(kill=True)
        await until_async(lambda: not zombies())
        tasks.cancel_scope.cancel()
    print(os.getpid() == 1, result.exit_code, all(statuses), waiting.wait(), flush=True)

anyio.run(main)
"""


def run(tmp_path: Path, *before: str) -> str:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    repository = str(Path(__file__).parents[2])
    done = subprocess.run(
        [*before, sys.executable, str(program), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": repository},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.stdout + done.stderr


def test_orphans_are_reaped_as_a_subreaper(tmp_path: Path) -> None:
    assert run(tmp_path) == "False 9 True 7\n"


def test_orphans_are_reaped_as_pid_1(tmp_path: Path) -> None:
    namespace = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*namespace, "true"], capture_output=True).returncode
    ):
        pytest.skip("process namespaces are not allowed here")
    assert run(tmp_path, *namespace) == "True 9 True 7\n"


STORM = """
import os, signal, subprocess, sys
import anyio
from agent_runtime.system.subreaper import Subreaper, become_subreaper

async def main():
    become_subreaper()
    storm = subprocess.Popen(["bash", "-c", f"while kill -CHLD {os.getpid()}; do :; done"])
    for _ in range(1000):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Subreaper().run)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    storm.kill()
    storm.wait()

anyio.run(main)
"""


def test_signals_that_arrive_while_the_subreaper_stops(tmp_path: Path) -> None:
    """Python prints a traceback when a handler is reset to the default action while its signal is pending."""
    done = subprocess.run(
        [sys.executable, "-c", STORM], capture_output=True, text=True, timeout=120, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
