"""The program of the next command is started before the command is known; nobody can tell it from another one."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from agent_runtime.shell.session_manager import SessionManager
from agent_runtime.shell.session_program import SessionProgram
from agent_runtime.system.processes import Process
from tests.support.waiting import until, until_async

from .conftest import PATIENT, body, number, start, write

pytestmark = pytest.mark.anyio

_SEEN = r"""
echo "$0|$#|$-|$SHLVL|$_|$REPLY"; pwd; pwd -P; umask; ulimit -a; env | grep -v AGENT_RUNTIME_CALL | sort
tr '\0' '\n' </proc/$$/cmdline | head -2; grep -E '^(Sig[BCI]|Shd|Seccomp|NoNewPrivs)' /proc/self/status
ls /proc/self/fd; readlink /proc/$$/fd/0 | cut -d: -f1; set -o; shopt; trap
declare -p | grep -o '^declare -[^ ]* [A-Z]*' | sort -u
ps -o pid=,sid=,pgid= $$ | awk '{print $1 == $2, $1 == $3}'
"""


@pytest.fixture
async def ahead(sessions: SessionManager) -> AsyncIterator[SessionManager]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sessions.prepare)
        yield sessions
        tasks.cancel_scope.cancel()


async def waiting(sessions: SessionManager, cwd: Path | None = None) -> SessionProgram:
    """The program that waits for the next command, in the state in which it waits.

    `cwd`: its directory.
    """
    starter = sessions._programs

    def found() -> SessionProgram | None:
        program = None if starter._lock.locked() else starter._waiting
        return program if program and state(program) == "S" and cwd in (None, program.settings.cwd) else None

    program = await until_async(found)
    assert program
    return program


def state(program: SessionProgram) -> str:
    process = Process.of(program.pid)
    return process.state if process else ""


async def test_a_command_sees_no_difference(
    sessions: SessionManager, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions._settings.set_variables(
        {"REPLY": "a reply", "BASH_FUNC_read%%": "() { echo read; }", "n-m": "1"}
    )
    directly = body(await start(sessions, _SEEN, tokens=10_000)).splitlines()
    await sessions._programs.prepare()
    program = await waiting(sessions)
    ahead = body(await start(sessions, _SEEN, tokens=10_000)).splitlines()
    assert sessions._programs._waiting is not program
    assert ahead == directly
    assert {"SHLVL=1", "n-m=1", "REPLY=a reply"} <= set(directly)


@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "terminal"])
async def test_a_command_inherits_nothing_but_its_standard_streams(
    sessions: SessionManager, tty: bool
) -> None:
    await sessions._programs.prepare()
    await waiting(sessions)
    for _ in range(2):  # the first one has waited, unless it has a terminal
        result = await start(sessions, "echo /proc/$$/fd/*; echo /proc/self/fd/*", tty=tty)
        named = {Path(name).name for name in body(result).split()}
        assert named <= {"0", "1", "2", "3"}  # 3: for the pattern


@pytest.mark.parametrize(
    "text",
    [
        'it\'s "quoted" $(echo no) `echo no` \\ \t é漢😀 \x01\x7f',
        "line\nline\n\n  \n",
        "x" * 100_000,
        "'; exit 3; '",
        "",
    ],
)
async def test_any_text_is_passed(ahead: SessionManager, home: Path, text: str) -> None:
    await waiting(ahead)
    quoted = text.replace("'", "'\\''")
    result = await start(ahead, f"printf %s '{quoted}' > out\n\n")
    assert result.exit_code == 0
    assert (home / "out").read_text() == text


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSTOP])
async def test_one_that_was_ended_is_replaced(
    ahead: SessionManager, home: Path, number: signal.Signals
) -> None:
    program = await waiting(ahead)
    os.kill(program.pid, number)
    await until_async(lambda: state(program) not in ("R", "S", "D"))
    result = await start(ahead, "echo once >> out; cat out")
    assert body(result) == "once"
    assert (await waiting(ahead)).pid != program.pid
    assert not Path(f"/proc/{program.pid}/fd").exists()


async def test_a_command_that_was_not_taken_is_run_once(
    ahead: SessionManager, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = await waiting(ahead)
    go = SessionProgram.go

    def killed(self: SessionProgram) -> None:
        if self is program:
            os.kill(self.pid, signal.SIGSTOP)
            until(lambda: state(self) == "T")
        go(self)
        if self is program:
            os.kill(self.pid, signal.SIGKILL)

    monkeypatch.setattr(SessionProgram, "go", killed)
    result = await start(ahead, "echo once >> out; cat out")
    assert (body(result), result.exit_code) == ("once", 0)
    assert "there is no session 2" in str(await refused(ahead, 2))


async def refused(sessions: SessionManager, number: int) -> Exception:
    with pytest.raises(Exception, match="there is no session") as caught:
        await write(sessions, number, "x")
    return caught.value


async def test_a_command_that_kills_itself_is_not_run_again(ahead: SessionManager, home: Path) -> None:
    await waiting(ahead)
    assert (await start(ahead, "echo once >> out; kill -9 $$")).exit_code == 137
    assert (home / "out").read_text() == "once\n"


async def test_it_is_what_the_command_needs_by_then(ahead: SessionManager, home: Path) -> None:
    await waiting(ahead)
    ahead._settings.set_variables({"NEW": "value"})
    assert body(await start(ahead, "echo $NEW")) == "value"
    await waiting(ahead)
    shutil.rmtree(home)
    home.mkdir()
    assert body(await start(ahead, "touch f; ls; /bin/pwd")) == f"f\n{home}"
    await waiting(ahead)
    assert body(await start(ahead, "readlink /proc/self/fd/0; exit; rg x")) == "/dev/null"
    await waiting(ahead)
    session = number(await start(ahead, "read -r line; echo $line", seconds=0))
    result = await ahead.write(session, "typed\n", seconds=PATIENT, tokens=10)
    assert result.text.endswith("typed")


async def test_other_places_and_terminals_are_not_given_it(ahead: SessionManager, home: Path) -> None:
    await waiting(ahead)
    (home / "sub").mkdir()
    result = await ahead.open("pwd", cwd="sub", tty=False, seconds=PATIENT, tokens=99, call_id="c")
    assert body(result) == f"{home}/sub"
    assert body(await start(ahead, "tty | cut -c-9", tty=True)) == "/dev/pts/"
    await waiting(ahead, home)  # where the last one ran


async def test_it_ends_with_the_run_or_the_runtime(sessions: SessionManager) -> None:
    programs = sessions._programs
    await programs.prepare()
    first = programs._waiting
    assert first
    await sessions.aclose(kill=False)
    assert first.process.returncode is not None
    assert first.group is None or not first.group._folder.exists()
    await programs.prepare()
    second = programs._waiting
    assert second
    os.close(second._release)
    assert second.process.wait(PATIENT) is not None
    second._release = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


async def test_it_is_not_reported(ahead: SessionManager) -> None:
    await waiting(ahead)
    session = number(await start(ahead, "sleep 300 & sleep 300", seconds=0))
    await waiting(ahead)
    assert [process.pid for process in ahead.background()] == [ahead._sessions[session].pid]
    result = await start(ahead, "sleep 301 & echo done")
    assert result.text.count("- pid ") == 1
    await waiting(ahead)
    assert len(ahead.background()) == 2
