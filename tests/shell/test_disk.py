"""A disk that is full ends neither the command nor the run (earendil-works/pi PR#2513)."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from agent_runtime.sandbox.keeper import BoundedLog

from .conftest import Bench

pytestmark = pytest.mark.anyio


def test_what_does_not_fit_is_counted() -> None:
    log = BoundedLog("/dev/full", 1 << 20)
    log.write(b"x" * 100)
    log.close()
    assert (log.size, log.lost, log.error) == (0, 100, "No space left on device")


async def test_a_full_disk_loses_the_file_and_nothing_else(sh: Bench) -> None:
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


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
async def test_a_log_folder_that_cannot_be_made(sh: Bench) -> None:
    sh.home.parent.chmod(0o500)
    try:
        result = await sh("seq 100000; sleep 60 & true", tokens=100)
    finally:
        sh.home.parent.chmod(0o700)
    assert "could not be written" in result.text


async def test_a_log_folder_that_is_a_file(sh: Bench) -> None:
    Path(sh.home.parent / "logs").write_text("in the way")
    result = await sh("seq 100000", tokens=100)
    assert (result.exit_code, result.output_file) == (0, None)
    assert "could not be written" in result.text
    assert (await sh("sleep 60 & echo on")).text.startswith("on\n")
