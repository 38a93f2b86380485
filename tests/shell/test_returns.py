"""A call ends with the shell's command, never with a pipe (openai/codex#4337, #7846; pi#7636; goose#7689)."""

from __future__ import annotations

import os
import time

import anyio
import anyio.to_thread
import pytest

from agent_runtime.shell import command, output_capture
from tests.support.waiting import until_async

from .conftest import PATIENT, UNTIL_GO, Bench

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "line",
    [
        "sleep 300 & echo hi",
        "setsid sleep 300 & echo hi",
        "nohup sleep 300 & echo hi",
        "(sleep 300 &) ; echo hi",
        "(setsid sh -c 'sleep 300; true' >&2 &) ; echo hi",
        "exec 3>&1; sleep 300 >&3 & echo hi",
        "sleep 300 | sleep 300 & echo hi",
    ],
)
async def test_returns_at_once_while_a_grandchild_holds_stdout(sh: Bench, line: str) -> None:
    result = await sh(line)
    assert result.text.startswith("hi\n[left running]\n- pid ")
    assert (result.outcome, result.exit_code) == ("completed", 0)
    assert sh.shell.background()[0].log_file == str(sh.home.parent / "logs/call-1.log")


@pytest.mark.parametrize("ending", ["kill $!", "kill -9 $!", "kill -INT $!"])
async def test_a_job_that_was_killed_is_not_left_running(
    sh: Bench, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr(command, "_EXIT_SECONDS", PATIENT)
    started = "until grep -q sleep /proc/$!/cmdline; do sleep 0.02; done"
    result = await sh(f"sleep 300 & {started}; {ending}")
    assert (result.text, sh.shell.background()) == ("(no output)", [])


async def test_output_through_tee_is_whole(sh: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_capture, "_SETTLE_SECONDS", PATIENT)
    result = await sh("exec > >(tee copy); seq 1 2000")
    assert result.text.split() == [str(n) for n in range(1, 2001)]
    assert (await sh("cat copy | wc -l; echo back")).text == "2000\nback"


async def test_a_silent_process_is_listed_without_a_log(sh: Bench) -> None:
    started = "until grep -q sleep /proc/$!/cmdline; do sleep 0.02; done"
    result = await sh(f"sleep 300 >/dev/null 2>&1 & {started}; echo $!")
    pid = int(result.text.split()[0])
    assert result.text == f"{pid}\n[left running]\n- pid {pid}: sleep 300"
    assert [process.pid for process in sh.shell.background()] == [pid]
    await sh(f"kill {pid}; wait {pid}")
    assert sh.shell.background() == []


async def test_processes_are_attributed_to_the_call_that_started_them(sh: Bench) -> None:
    """Though both are below the shell: a server that comes up in the one has not the log of the other."""
    os.mkfifo(sh.home / "go")
    await sh("sleep 300 &")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sh, "sleep 301 & cat go")
        with anyio.fail_after(PATIENT):
            opened = await anyio.to_thread.run_sync(os.open, sh.home / "go", os.O_WRONLY)  # when it is read
        await until_async(lambda: commands(sh) == ["sleep 300"])
        os.close(opened)
    await until_async(lambda: commands(sh) == ["sleep 300", "sleep 301"])


def commands(sh: Bench) -> list[str]:
    """The commands of what is left running."""
    return [process.command for process in sh.shell.background()]


async def test_a_background_process_keeps_its_log(sh: Bench) -> None:
    await sh(f"({UNTIL_GO}; for i in 1 2 3 4 5; do echo line $i; done) & echo first")
    log = sh.shell.background()[0].log_file
    assert log
    written = f"until grep -q 'line 5' {log}; do sleep 0.02; done"
    assert (await sh(f"touch go; wait; {written}; cat {log}")).text.split("\n") == [
        "first",
        *(f"line {n}" for n in range(1, 6)),
    ]


async def test_later_output_of_a_background_process_is_not_the_next_call_s(sh: Bench) -> None:
    await sh(f"({UNTIL_GO}; echo late) & true")
    assert (await sh("touch go; wait; echo mine")).text == "mine"


async def test_a_flood_left_running_does_not_hold_the_call(sh: Bench) -> None:
    result = await sh("yes & echo $! > pid")
    assert result.outcome == "completed"
    assert "[left running]\n- pid " in result.text
    await sh("kill $(cat pid)")


async def test_shell_jobs_can_be_waited_for_in_later_calls(sh: Bench) -> None:
    await sh(f"({UNTIL_GO}) & echo started")
    assert (await sh("touch go; wait %1; echo status $?")).text == "status 0"


@pytest.mark.timed
async def test_a_background_process_does_not_delay_the_end_of_its_call(sh: Bench) -> None:
    began = time.monotonic()
    assert (await sh("sleep 300 & setsid sleep 300 & echo hi")).outcome == "completed"
    assert time.monotonic() - began < 10


@pytest.mark.timed
async def test_a_call_takes_milliseconds(sh: Bench) -> None:
    took = []
    for _ in range(30):
        began = time.monotonic()
        await sh("true")
        took.append(time.monotonic() - began)
    assert sorted(took)[15] < 0.05
