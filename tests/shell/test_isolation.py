"""Calls do not reach each other's processes, the shell, or its files, except where they mean to."""

from __future__ import annotations

import pytest

from tests.support.waiting import until_async

from .conftest import UNTIL_GO, Bench

pytestmark = pytest.mark.anyio

# bash loses a signal that reaches a job before its program is executed, so the script waits for that
STARTED = 'while read -r name </proc/$!/comm && [ "$name" != sleep ]; do :; done'
SCRIPT = f"""printf '#!/bin/bash\\ntrap "kill 0" EXIT\\nsleep 60 & {STARTED}; echo ran\\n' > run-all; """


@pytest.mark.parametrize(
    "command",
    [
        f"{SCRIPT} bash run-all; echo after",
        f"{SCRIPT} bash run-all | cat; echo after",
        f"{SCRIPT} (bash run-all); echo after",
        f"{SCRIPT} bash run-all & wait; echo after",
        "python3 -c 'import os; os.killpg(0, 15)'; echo after",
        "sh -c 'kill -- -$(ps -o pgid= $$ | tr -d \" \")'; echo after",
        "pkill -TERM -g 0; echo after",
        "(sleep 60 & sleep 0.1; kill 0); echo after",
        "f() { (kill 0); }; f; echo after",
        "timeout 1 bash -c 'trap \"kill 0\" EXIT; sleep 60'; echo after",
        f"{SCRIPT} cat <(bash run-all); y=$(bash run-all); echo after",
        f"{SCRIPT} echo $(echo $(bash run-all)) `bash run-all`; echo after",
        f"{SCRIPT} mapfile -t lines < <(bash run-all); exec 5< <(bash run-all); cat <&5; echo after",
        f"{SCRIPT} f() {{ bash run-all; }}; y=$(f | cat); bash run-all > >(cat); echo after",
        *(
            f"y=$(bash -c 'kill -{name} 0; sleep 1'); echo after"
            for name in ("HUP", "INT", "QUIT", "USR2", "ALRM")
        ),
    ],
)
async def test_a_signal_to_the_process_group_stays_in_the_command(sh: Bench, command: str) -> None:
    await sh("x=1; sleep 400 & echo started")
    result = await sh(command)
    assert "after" in result.text and "the shell ended" not in result.text
    assert (await sh("echo $x; kill -0 %1 && echo alive")).text == "1\nalive"


@pytest.mark.parametrize("command", ["kill 0", "y=$(kill 0)", "kill -- -$$; sleep 1"])
async def test_a_signal_to_the_group_of_the_shell_leaves_servers_alone(sh: Bench, command: str) -> None:
    await sh("x=1; sleep 400 & echo started")
    await sh(command)
    assert (await sh("echo $x")).text.split("\n")[-1] == "1"
    await until_async(lambda: commands(sh) == ["sleep 400"])


@pytest.mark.parametrize("number", ["TERM", "HUP", "KILL"])
async def test_a_signal_to_the_group_of_the_shell_ends_the_jobs_of_its_call(sh: Bench, number: str) -> None:
    await sh("sleep 400 &")
    own_session = "setsid sh -c 'touch go; exec sleep 402'"
    result = await sh(f"sleep 401 & {own_session} & {UNTIL_GO}; kill -{number} 0; sleep 60")
    assert (result.outcome, "sleep 401" in result.text) == ("failed", False)
    await until_async(lambda: commands(sh) == ["sleep 400", "sleep 402"])


def commands(sh: Bench) -> list[str]:
    """The commands of what is left running."""
    return [process.command for process in sh.shell.background()]


@pytest.mark.parametrize(
    "command",
    [
        "sleep 0.1 & wait -n; wait",
        "sleep 0.1 & wait $!; wait",
        "true & sleep 0.3; wait",
        "set -u; sleep 0 & wait; wait",
    ],
)
async def test_wait_after_the_jobs_of_its_call_have_ended(sh: Bench, command: str) -> None:
    await sh("sleep 400 & sleep 401 &")
    assert (await sh(f"{command}; echo after")).text == "after"
    assert len(sh.shell.background()) == 2


async def test_wait_without_jobs_of_its_call_waits_for_earlier_ones(sh: Bench) -> None:
    await sh(f"({UNTIL_GO}; sleep 0.3; echo built > built) &")
    await sh("true & wait")
    assert (await sh("touch go; wait; cat built")).text == "built"


async def test_wait_waits_for_the_jobs_of_its_call(sh: Bench) -> None:
    await sh("sleep 400 & sleep 401 &")
    result = await sh("(sleep 0.2; echo a > a) & (sleep 0.3; echo b > b) & wait; cat a b")
    assert (result.text, result.outcome) == ("a\nb", "completed")
    assert len(sh.shell.background()) == 2


async def test_wait_with_arguments_keeps_its_meaning(sh: Bench) -> None:
    await sh("(sleep 0.5; exit 7) & first=$!")
    assert (await sh("wait $first; echo $?")).text == "7"
    assert (
        await sh("(exit 3) & wait $!; echo $?; wait -n; echo $?; (sleep 0.1 & wait; echo in)")
    ).text == "3\n127\nin"
    await sh("set -eu; IFS=,; (sleep 0.3; touch done) &")
    assert (await sh("wait; ls done")).text == "done"


async def test_processes_that_a_timed_out_wait_was_waiting_for_are_named(sh: Bench) -> None:
    pid = (await sh("sleep 400 >/dev/null 2>&1 & echo $!")).text.split()[0]
    result = await sh("wait", timeout=0.5)
    assert result.outcome == "timed_out" and f"earlier calls left running (pid {pid})" in result.text


async def test_a_trace_shows_the_commands_only(sh: Bench) -> None:
    await sh("set -x")
    result = await sh("echo one; (exit 4)")
    assert [line.lstrip("+ ") for line in result.text.split("\n")] == [
        "echo one",
        "one",
        "exit 4",
        "[exit code 4]",
    ]
    assert (await sh("set +x")).text.replace("+", "").split() == ["set", "x"]
    assert (await sh("echo quiet")).text == "quiet"


async def test_options_of_earlier_calls_are_kept(sh: Bench) -> None:
    await sh("set -f; set -o pipefail; shopt -s nullglob")
    await sh("(exit 3)")
    assert (await sh("echo $?; set -o | grep -E '^(noglob|pipefail)'; shopt nullglob")).text.split() == (
        ["3", "noglob", "on", "pipefail", "on", "nullglob", "on"]
    )
