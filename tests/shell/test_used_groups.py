"""A control group in which a program has run is given to a later one only when it is as it was created: a program may
freeze its group, make others in it, remove it, or move something into one that waits for its next use.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest

from agent_runtime.shell.call_processes import marker_of
from agent_runtime.shell.session_manager import SessionManager
from agent_runtime.system import cgroup
from tests.support.lifeline import Lifeline
from tests.support.waiting import until_async

from .conftest import body, settings, start

pytestmark = pytest.mark.anyio

_FIND = "g={own}/$(sed -n 's|^0::.*/||p' /proc/self/cgroup); "
_CHANGES = {
    "frozen": "echo 1 >$g/cgroup.freeze",
    "with a group": "mkdir $g/inner; touch up",
    "with two groups": "mkdir -p $g/inner/inner; touch up",
    "in a group": "mkdir $g/inner; echo $$ >$g/inner/cgroup.procs; touch up",
    "threaded": "mkdir $g/inner; echo threaded >$g/inner/cgroup.type; touch up",
    "unchanged": "touch up",
}


@pytest.fixture
def own() -> Iterator[Path]:
    """The folder in which groups are made."""
    group = cgroup.ControlGroup.create(marker_of("test"))
    if group is None:
        pytest.skip("control groups cannot be made here")
    group.close()
    folder = cgroup.own_folder()
    assert folder
    yield folder
    assert list(folder.glob(f"agent-runtime.{marker_of('')}*")) == []


@pytest.fixture
async def grouped(own: Path, home: Path) -> AsyncIterator[SessionManager]:
    sessions = SessionManager(settings(home))
    yield sessions
    await sessions.aclose(kill=True)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A program that sleeps."""
    with subprocess.Popen(["sleep", "600"]) as program:
        yield program
        program.kill()


async def starts_in_a_group(sessions: SessionManager) -> str:
    """Start a program. Returns the name of its group, of which there is no other process."""
    text = body(await start(sessions, "sed -n s/^0:://p /proc/self/cgroup"))
    name = text.strip().rpartition("/")[2]
    assert name.startswith(f"agent-runtime.{marker_of('session')}-")
    return name


@pytest.mark.parametrize("change", _CHANGES.values(), ids=_CHANGES)
async def test_a_program_starts_whatever_the_one_before_has_done_to_its_group(
    grouped: SessionManager, own: Path, home: Path, change: str
) -> None:
    command = _FIND.format(own=own) + f"{change}; sleep 600"
    first = await starts_in_a_group(grouped)

    def changed() -> bool:
        return (home / "up").exists() or (own / first / "cgroup.freeze").read_text() == "1\n"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(start, grouped, command))
        await until_async(changed)
        tasks.cancel_scope.cancel()
    assert grouped.background() == []
    assert (await starts_in_a_group(grouped) == first) == (change == _CHANGES["unchanged"])


async def test_a_group_that_was_removed_is_made_again(grouped: SessionManager, own: Path) -> None:
    for _ in range(2):
        name = await starts_in_a_group(grouped)
        (own / name).rmdir()
    await starts_in_a_group(grouped)


async def test_a_group_that_is_removed_before_it_is_entered_is_made_again(
    own: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    group = cgroup.ControlGroup.create(marker_of("test"))
    assert group
    group.remove()
    entrance = group.entrance()
    os.write(entrance, str(sleeper.pid).encode())
    os.close(entrance)
    assert group.pids() == [sleeper.pid]
    group.kill()
    assert sleeper.wait() == -signal.SIGKILL
    group.close()


async def test_what_was_moved_into_a_group_is_not_a_later_programs(
    grouped: SessionManager, own: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    name = await starts_in_a_group(grouped)
    (own / name / "cgroup.procs").write_text(str(sleeper.pid))
    assert await starts_in_a_group(grouped) != name
    await grouped.end()
    assert sleeper.poll() is None


async def test_a_program_that_was_frozen_while_it_waited_is_replaced(
    grouped: SessionManager, own: Path
) -> None:
    await grouped._programs.prepare()
    program = grouped._programs._waiting
    assert program
    assert program.group
    group = program.group
    await until_async(group.pids)
    (own / group._folder.name / "cgroup.freeze").write_text("1")
    await until_async(lambda: "frozen 1" in (group._folder / "cgroup.events").read_text())
    assert await starts_in_a_group(grouped) != group._folder.name
    await grouped._programs.prepare()
    assert await starts_in_a_group(grouped) != group._folder.name


@pytest.mark.parametrize("leave", ["setsid env -i PATH=$PATH", "nohup", ""])
async def test_what_runs_in_a_group_of_its_own_belongs_to_its_call(
    grouped: SessionManager, own: Path, home: Path, leave: str
) -> None:
    lifeline = Lifeline(home / "lifeline")
    inner = "mkdir $g/inner; echo $$ >$g/inner/cgroup.procs"
    stays = f"({leave} sh -c 'echo up; exec sleep 600' >lifeline 2>&1 &)"
    other = await start(grouped, "read -r line", seconds=0)
    result = await start(
        grouped, f"{_FIND.format(own=own)} {inner}; {stays}; until test -e go; do sleep 0.01; done", seconds=0
    )
    await until_async(lifeline.held)
    (home / "go").touch()
    session = int(result.text.partition("session ID ")[2].split()[0])
    result = await grouped.write(session, "", seconds=60, tokens=1000)
    assert "sleep 600" in result.text
    assert "session ID" in other.text
    assert [process.command for process in grouped.background()] == ["read -r line", "sleep 600"]
    await grouped.end()
    assert lifeline.released()
    lifeline.close()


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        (f"{1 << 22}.left", False),  # the kernel gives only lower pids
        (f"{1 << 22}.left/inner/inner", False),
        ("{pid}.of-this-runtime", True),
        ("slice", True),
        ("1st.service", True),
    ],
)
async def test_only_groups_of_runtimes_that_have_ended_are_removed(own: Path, name: str, stays: bool) -> None:
    folder = own / f"agent-runtime.{name.format(pid=os.getpid())}"
    folder.mkdir(parents=True)
    cgroup._swept_folder.cache_clear()  # as in a new process
    group = cgroup.ControlGroup.create(marker_of("test"))
    assert group
    group.close()
    top = own / folder.relative_to(own).parts[0]
    assert top.exists() == stays
    if stays:
        top.rmdir()


async def test_two_runtimes_with_one_pid_do_not_share_a_group(own: Path) -> None:
    groups = [group for _ in range(2) if (group := cgroup.ControlGroup.create("7.session-1"))]
    names = {group._folder for group in groups}
    for group in groups:
        group.close()
    assert len(names) == 2
