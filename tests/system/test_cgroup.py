"""Control groups: what a call started is found however it hides, and what an earlier call started is not mistaken for
it (codex#42717, claude-code#29096)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest

from agent_runtime.shell.call_processes import marker_of
from agent_runtime.shell.session_manager import SessionManager
from agent_runtime.system import cgroup
from agent_runtime.system.processes import Process
from agent_runtime.system.subreaper import Subreaper
from tests.shell.conftest import Bench, make_shell, settings, start
from tests.support.lifeline import Lifeline
from tests.support.waiting import until_async

pytestmark = pytest.mark.anyio

# Never the same process for longer than a moment, in a session of its own and with an empty environment: no list of
# processes has it, for it is another one when the list has been read.
MOVING = (
    'setsid env -i python3 -c \'import os, time\nend = time.monotonic() + 60\nos.write(1, b"up")\n'
    "while time.monotonic() < end:\n    if os.fork(): os._exit(0)' >lifeline & sleep 60"
)


def groups() -> list[Path]:
    """The groups that this process has made."""
    own = cgroup.own_folder()
    return list(own.glob(f"agent-runtime.{marker_of('')}*")) if own else []


@pytest.fixture
def grouped() -> Iterator[None]:
    reaper = Subreaper()
    child = subprocess.Popen(["sleep", "60"])
    group = cgroup.ControlGroup.of(child.pid, marker_of("test"))
    child.kill()
    child.wait()
    if group is None:
        pytest.skip("this kernel, or who started this, lets nobody make control groups here")
    group.close()
    yield
    reaper.reap()  # the thousands that a process was which never holds still


@pytest.fixture
def lifeline(home: Path) -> Iterator[Lifeline]:
    lifeline = Lifeline(home / "lifeline")
    yield lifeline
    lifeline.close()


@pytest.mark.usefixtures("grouped")
async def test_a_process_that_keeps_forking_is_ended(sh: Bench, lifeline: Lifeline) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sh, MOVING)
        await until_async(lifeline.held)
        tasks.cancel_scope.cancel()
    assert lifeline.released()


@pytest.mark.usefixtures("grouped")
async def test_processes_that_keep_moving_are_ended_with_their_session(
    sessions: SessionManager, lifeline: Lifeline
) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(start, sessions, MOVING, seconds=60))
        await until_async(lifeline.held)
        tasks.cancel_scope.cancel()
    assert sessions.background() == []
    assert lifeline.released()


@pytest.mark.usefixtures("grouped")
async def test_orphans_are_attributed_to_the_call_that_started_them(sh: Bench) -> None:
    born = "(setsid env -i PATH=$PATH sh -c 'echo $$ > orphan; exec sleep 600' &)"
    await sh(f"(while ! test -e go; do sleep 0.05; done; {born}; sleep 600) >/dev/null 2>&1 &")
    result = await sh.timed_out("touch go; until test -s orphan; do sleep 0.05; done; touch up; sleep 600")
    assert result.outcome == "timed_out"
    orphan = Process.of(int((sh.home / "orphan").read_text()))
    assert orphan is not None and not orphan.gone
    assert orphan.pid in {process.pid for process in sh.shell.background()}


@pytest.mark.usefixtures("grouped")
@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "terminal"])
@pytest.mark.parametrize("user", [None, "nobody"])
async def test_a_session_is_in_a_group_of_its_own_before_its_command(
    home: Path, user: str | None, tty: bool
) -> None:
    if user and os.geteuid():
        pytest.skip("only root starts programs of other users")
    home.chmod(0o755)
    sessions = SessionManager(settings(Path("/"), user))
    found = [(await start(sessions, "grep ^0:: /proc/self/cgroup", tty=tty)).text for _ in range(2)]
    await sessions.aclose(kill=True)
    assert all(f"/agent-runtime.{marker_of('session')}-" in text for text in found)
    assert groups() == []


@pytest.mark.usefixtures("grouped")
async def test_no_group_is_left_behind(home: Path) -> None:
    before = groups()
    shell = make_shell(home)
    bench = Bench(shell, home)
    pids = [int((await bench("sleep 60 >/dev/null 2>&1 & echo $!")).text.split()[0]) for _ in range(2)]
    assert len(groups()) == len(before) + 2
    await bench("exit 1")
    await bench("sleep 60", timeout=0.2)
    await shell.aclose(kill=False)
    assert groups() == before
    for pid in pids:
        left = Process.of(pid)
        assert left is not None and left.command == "sleep 60"
        left.send(signal.SIGKILL)


@pytest.mark.usefixtures("grouped")
@pytest.mark.parametrize("kill", [True, False])
async def test_no_group_of_a_session_is_left_behind(home: Path, kill: bool) -> None:
    sessions = SessionManager(settings(home))
    await start(sessions, "true")
    for command in ("cat", "exec true", "sleep 60 >/dev/null 2>&1 & exit 1", "sleep 60"):
        await start(sessions, command, seconds=0)
    await sessions._programs.prepare()
    assert groups()
    left = sessions.background()
    await sessions.aclose(kill=kill)
    assert groups() == []
    for process in left:
        if found := Process.of(process.pid):
            found.send(signal.SIGKILL)


@pytest.mark.usefixtures("grouped")
async def test_groups_of_a_killed_runtime_are_removed_by_the_next_one(sh: Bench) -> None:
    own = cgroup.own_folder()
    assert own
    left = own / f"agent-runtime.{1 << 22}.left"  # the kernel gives only lower pids
    left.mkdir()
    cgroup._swept_folder.cache_clear()  # as in a new process
    await sh("true")
    assert not left.exists()


PROGRAM = """
import os, subprocess, sys
from functools import partial
from pathlib import Path
import anyio
from agent_runtime.system.cgroup import ControlGroup
from agent_runtime.shell.truncation import OutputStore
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.shell.shell import Shell
from tests.support.lifeline import Lifeline
from tests.support.waiting import until_async

async def main():
    home = Path(sys.argv[1])
    lifeline = Lifeline(home / "lifeline")
    child = subprocess.Popen(["sleep", "60"])
    group = ControlGroup.of(child.pid, f"{os.getpid()}.probe")
    if group:
        group.kill()
    else:
        child.kill()
    status = child.wait()
    if group:
        group.close()
    shell = Shell(ShellSettings(home, dict(os.environ), OutputStore(home)))
    command = "(setsid env -i sh -c 'echo up; exec sleep 600' >lifeline &) ; sleep 600"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(shell.run, command, timeout=600, call_id="a", tokens=100))
        await until_async(lifeline.held)
        tasks.cancel_scope.cancel()
    await shell.aclose(kill=True)
    print(group is not None, status, shell.partial("a").outcome, lifeline.released(), flush=True)

anyio.run(main)
"""
HIDE = "for point in $(findmnt -n -o TARGET -t cgroup2); do mount -t tmpfs none $point; done"
READ_ONLY = "for point in $(findmnt -n -o TARGET -t cgroup2); do mount -o remount,bind,ro $point; done"


@pytest.mark.parametrize(
    ("setting", "grouped"),
    [(HIDE, "False"), (READ_ONLY, "False"), (f"{HIDE}; mkdir own; mount -t cgroup2 none own", "True")],
    ids=["none", "read-only", "elsewhere"],
)
def test_control_groups_are_used_wherever_they_are_mounted(
    tmp_path: Path, setting: str, grouped: str
) -> None:
    namespaces = ["unshare", "--mount", "--cgroup", "sh", "-ec"]
    allowed = shutil.which("unshare") and subprocess.run([*namespaces, f"mount -t tmpfs none {tmp_path}"])
    if not allowed or allowed.returncode:
        pytest.skip("mounting in a namespace of one's own is not allowed here")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [*namespaces, f'{setting}; exec "$@"', "sh", sys.executable, str(program), str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout + done.stderr == f"{grouped} -9 cancelled True\n"
