"""The shell is started before its first call, which cannot tell."""

from __future__ import annotations

import os
import shutil
import signal

import pytest

from agent_runtime.shell.bash_process import BashProcess
from tests.support.waiting import until_async

from .conftest import Bench

pytestmark = pytest.mark.anyio


async def prepared(sh: Bench) -> BashProcess:
    await sh.shell.prepare()
    bash = sh.shell._bash
    assert bash
    return bash


async def test_it_runs_the_first_call(sh: Bench) -> None:
    bash = await prepared(sh)
    assert (await sh("echo $$; x=1")).text == str(bash.pid)
    await sh.shell.prepare()
    assert (await sh("echo $$ $x")).text == f"{bash.pid} 1"


async def test_one_that_was_killed_is_replaced_without_a_word(sh: Bench) -> None:
    bash = await prepared(sh)
    os.kill(bash.pid, signal.SIGKILL)
    await until_async(lambda: bash.ended is not None)
    assert (await sh("echo here; pwd")).text == f"here\n{sh.home}"


async def test_it_has_the_variables_and_the_directory_of_the_first_call(sh: Bench) -> None:
    await prepared(sh)
    sh.shell._settings.set_variables({"NEW": "value"})
    shutil.rmtree(sh.home)
    sh.home.mkdir()
    assert (await sh("echo $NEW; touch f; ls")).text == "value\nf"
    assert (sh.home / "f").exists()


async def test_it_ends_with_the_run(sh: Bench) -> None:
    bash = await prepared(sh)
    await sh.shell.aclose(kill=False)
    assert bash.ended is not None  # it is killed, and may exit before that because its input is closed
