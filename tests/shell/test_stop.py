"""A timeout or a cancel ends all that the call started, and nothing else.

codex#42717, #27758; claude-code#29096, #62987; e2b-dev/E2B#1031
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from agent_runtime.shell import command as command_module
from agent_runtime.system.process_tree import descendants
from tests.support.waiting import until_async

from .conftest import PATIENT, Bench, make_shell

pytestmark = pytest.mark.anyio

IDLE = "touch up; sleep 300; touch sentinel"  # longer than a test may take: it has to be ended
TREES = [
    f"sh -c '{IDLE}'",
    f"({IDLE}) & sleep 600",
    f"(setsid sh -c '{IDLE}' &) ; sleep 600",
    f"(setsid sh -c \"(sh -c '{IDLE}' &)\" >/dev/null 2>&1 </dev/null &) ; sleep 600",
    f"(env -i sh -c '{IDLE}' &) ; sleep 600",
    f"(setsid env -i sh -c '{IDLE}' &) ; sleep 600",
    f"trap '' TERM INT HUP; (trap '' TERM; {IDLE})",
    "f() { touch up; sleep 300; }; f; touch sentinel",
    "while ! touch -d @0 x; do :; done; while :; do touch up; sleep 300 && touch sentinel; done",
    "for n in $(seq 100); do (sleep 300; touch sentinel) & done; touch up; wait",
    "exec sh -c 'touch up; sleep 300; touch sentinel'",
    "python3 -c 'import os, time; os.fork() or (os.setsid(), os.fork() or "
    '(open("up", "w"), time.sleep(300), open("sentinel", "w"))); time.sleep(600)\'',
    "trap 'sleep 600' EXIT; touch up; sleep 300; touch sentinel",
    "mkfifo pipe; touch up; read x < pipe; touch sentinel",
    "touch up; kill -STOP $BASHPID",
]


@pytest.fixture
def saves_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that is stopped has more time to save its state."""
    monkeypatch.setattr(command_module, "CLOSE_SECONDS", PATIENT)


@pytest.fixture
def grace_of_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """What SIGTERM asks to end has more time for that."""
    monkeypatch.setattr(command_module, "GRACE", PATIENT)


UNTIL_UP = "until test -e up; do sleep 0.02; done"


def running() -> set[int]:
    """The processes that this one has started, and not those that keep logs."""
    found = descendants(os.getpid())
    return {process.pid for process in found if not (process.marker or "").endswith("log_writer")}


@pytest.mark.parametrize("command", TREES)
async def test_a_timeout_ends_the_whole_tree(sh: Bench, command: str) -> None:
    others = running()  # of other tests, started for longer
    result = await sh.timed_out(f"echo before; {command}")
    assert result.text.startswith("before\n")
    assert "[timed out after 0.7 s; all processes of the call were ended]" in result.text
    assert (result.outcome, result.exit_code, result.is_error) == ("timed_out", None, True)
    assert running() - others == set()
    assert not (sh.home / "sentinel").exists()
    assert (await sh("echo usable")).text == "usable"


@pytest.mark.timed
async def test_a_timeout_is_kept_although_sigterm_is_ignored(sh: Bench) -> None:
    began = time.monotonic()
    await sh(f"trap '' TERM INT HUP; (trap '' TERM; {IDLE})", timeout=0.7)
    assert time.monotonic() - began < 0.7 + 10


async def test_a_cancel_ends_the_whole_tree_and_keeps_the_output(sh: Bench) -> None:
    others = running()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sh, f"echo printed; (setsid sh -c '{IDLE}' &) ; {UNTIL_UP}; {IDLE}")
        await until_async((sh.home / "up").exists)
        tasks.cancel_scope.cancel()
    partial = sh.shell.partial("call-1")
    assert partial is not None
    assert partial.text.startswith("printed\n")
    assert partial.outcome == "cancelled"
    assert sh.shell.partial("call-1") is None
    assert running() - others == set()
    assert not (sh.home / "sentinel").exists()
    assert (await sh("echo usable")).text == "usable"


@pytest.mark.timed
async def test_a_cancelled_run_ends_in_time_although_sigterm_is_ignored(home: Path) -> None:
    shell = make_shell(home)
    bench = Bench(shell, home)
    deaf = "(trap '' TERM; touch up; sleep 600; true)"
    await bench(f"{deaf} & {UNTIL_UP}; rm up")
    began = 0.0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench, deaf)
        await until_async((home / "up").exists)
        began = time.monotonic()
        tasks.cancel_scope.cancel()
    await shell.aclose(kill=True)
    assert time.monotonic() - began < 10
    assert shell.background() == []


@pytest.mark.usefixtures("saves_for_a_minute")
async def test_the_shell_state_survives_a_timeout(sh: Bench) -> None:
    await sh("mkdir sub; x=1; f() { echo f $x; }")
    await sh.timed_out("cd sub; export y=2; f() { echo g $x; }; touch ../up; sleep 600")
    assert (await sh("f; echo $y; pwd")).text == f"g 1\n2\n{sh.home}/sub"


STAY = {"sleep 400", "sleep 401"}


async def test_processes_of_earlier_calls_keep_running(sh: Bench) -> None:
    await sh(
        "(while :; do sleep 0.1; (true &) ; date +%s%N > beat; done) & sleep 400 & setsid sleep 401 & "
        "until test -s beat; do sleep 0.02; done"
    )

    def left() -> dict[int, str]:
        return {process.pid: process.command for process in sh.shell.background()}

    # without the `true` of the moment, and when `setsid` has forked
    known = await until_async(lambda: now if {*(now := left()).values()} >= STAY and len(now) == 3 else None)
    assert (await sh.timed_out("sleep 402 & touch up; sleep 600")).outcome == "timed_out"
    await until_async(lambda: left() == known)
    before = (sh.home / "beat").read_text()
    await until_async(lambda: (sh.home / "beat").read_text() != before)


async def test_the_port_of_a_server_is_free_after_a_timeout(sh: Bench) -> None:
    # the shape of `npm run dev`: a shell that starts node that starts the server, in a new session
    (sh.home / "server.py").write_text(
        "import socket, time; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen();"
        "open('port', 'w').write(str(s.getsockname()[1])); print('up', flush=True); time.sleep(600)"
    )
    command = "sh -c 'setsid sh -c \"python3 server.py | cat; true\"; true'"
    result = await sh.timed_out(command, printed(sh, "up"))
    assert result.text.startswith("up\n")
    with socket.socket() as again:
        again.bind(("127.0.0.1", int((sh.home / "port").read_text())))


def printed(sh: Bench, text: str) -> Callable[[], bool]:
    """Whether the command that runs has printed a text."""
    return lambda: text in "".join(sh.shell.printed())


@pytest.mark.usefixtures("grace_of_a_minute")
async def test_sigterm_is_sent_before_sigkill(sh: Bench) -> None:
    handler = "lambda *_: (time.sleep(0.5), open('clean', 'w'), sys.exit())"
    script = f"import signal, sys, time; signal.signal(15, {handler})"
    command = f"python3 -c \"{script}; print('ready', flush=True); time.sleep(600)\""
    result = await sh.timed_out(command, printed(sh, "ready"))
    assert result.text.startswith("ready")
    assert (sh.home / "clean").exists()


@pytest.mark.usefixtures("grace_of_a_minute")
async def test_git_leaves_no_lock(sh: Bench) -> None:
    await sh("git init -q . && git config user.email a@b.c && git config user.name n && echo x > f")
    await sh(
        "cd .git/hooks; printf '#!/bin/sh\\ntouch up; sleep 600\\n' > pre-commit; chmod +x pre-commit; cd ../.."
    )
    result = await sh.timed_out("git add f; exec 3>&1; git commit -m x f")
    assert result.outcome == "timed_out"
    assert not (sh.home / ".git/index.lock").exists()
    assert (await sh("git add f && echo fine")).text == "fine"


async def test_cancelled_calls_do_not_wait(sh: Bench, home: Path) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sh, "touch started; sleep 60; touch sentinel")
        await until_async((home / "started").exists)
        tasks.cancel_scope.cancel()
    assert (await sh("echo next")).text == "next"
    assert not (home / "sentinel").exists()


async def test_no_named_pipes_are_left_behind(
    sh: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for command in ["true", "sleep 60 & true", "exit 1", "set -n"]:
        await sh(command)
    await sh("sleep 60", timeout=0.2)
    assert [path for path in tmp_path.rglob("*") if path.is_fifo()] == []
    await sh("sh -c 'sleep 0.5; echo again > /dev/stdout' &")  # the pipe has no name any more by then
    log = sh.shell.background()[-1].log_file
    assert log and (await sh(f"wait; until test -s {log}; do sleep 0.05; done; cat {log}")).text == "again"


async def test_no_descriptors_are_left_open(sh: Bench) -> None:
    await sh("true")

    def count() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before = count()
    for command in ["true", "exit 1", "kill -9 $$", "echo out; sleep 60 & true"]:
        await sh(command)
    await sh("sleep 60", timeout=0.2)
    for process in sh.shell.background():  # whose log is being written
        os.kill(process.pid, signal.SIGKILL)
    await until_async(lambda: not sh.shell.background())
    await sh("true")
    await until_async(lambda: count() == before)
