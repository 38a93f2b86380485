"""A disk that is full ends neither the command nor the run (earendil-works/pi PR#2513)."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from agent_runtime.shell.output_log import BoundedLog
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.shell.shell import Shell
from agent_runtime.shell.truncation import OutputStore

from .conftest import Bench, clean_env

pytestmark = pytest.mark.anyio


def test_bytes_that_do_not_fit_are_counted() -> None:
    log = BoundedLog("/dev/full", 1 << 20)
    log.write(b"x" * 100)
    log.close()
    assert (log.size, log.lost, log.error) == (0, 100, "No space left on device")


async def test_a_full_disk_affects_only_the_log_file(sh: Bench) -> None:
    await sh("true")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        result = await sh("seq 2000000; exit 5", tokens=100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert result.exit_code == 5
    assert result.text.startswith("1\n2\n3\n")
    assert "\n1999999\n2000000\n" in result.text
    assert "bytes of the output could not be written to " in result.text
    assert "File too large" in result.text
    assert (await sh("echo next")).text == "next"


async def test_an_uncreatable_log_folder_is_reported(home: Path) -> None:
    place = Path("/proc/agent-runtime")  # not by root either
    shell = Shell(ShellSettings(home, clean_env(), OutputStore(place)))
    try:
        result = await Bench(shell, home)("seq 100000; sleep 60 & true", tokens=100)
        assert (result.exit_code, result.output_file) == (0, None)
        assert (
            "could not be written to /proc/agent-runtime/call-1.log: No such file or directory" in result.text
        )
        assert "\n[left running]\n- pid " in result.text
    finally:
        await shell.aclose(kill=True)


async def test_a_log_folder_that_is_a_file_is_reported(sh: Bench) -> None:
    Path(sh.home.parent / "logs").write_text("in the way")
    result = await sh("seq 100000", tokens=100)
    assert (result.exit_code, result.output_file) == (0, None)
    assert "could not be written" in result.text
    assert (await sh("sleep 60 & echo on")).text.startswith("on\n")
