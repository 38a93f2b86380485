"""What `complete` says about processes: each is in `left` or in `ended`, and in one of them only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from agent_runtime.dev_servers.server import RunningServer
from agent_runtime.engine.left import ended_processes, left_processes
from agent_runtime.shell.call_processes import Background


@pytest.fixture
def living() -> Iterator[int]:
    process = subprocess.Popen(["sleep", "60"])
    yield process.pid
    process.kill()
    process.wait()


@pytest.fixture
def dead() -> int:
    return 4_194_305  # above the highest pid of Linux, so that it is of no other process


def server(pid: int) -> RunningServer:
    return RunningServer(pid=pid, command="serve", call_id="c1", port=8000, log_file="/log")


@pytest.mark.parametrize("is_background", [True, False], ids=["of a call", "of another parent"])
def test_a_server_is_left_or_ended_and_keeps_its_port(is_background: bool, living: int, dead: int) -> None:
    background = [Background(pid, "serve", None, 0.0, "c1") for pid in (living, dead)]
    servers = [server(living), server(dead)]
    known = background if is_background else []
    left, ended = left_processes(known, servers), ended_processes(known, servers)
    assert [(each.pid, each.port, each.log_file) for each in left] == [(living, 8000, "/log")]
    assert [(each.pid, each.port, each.log_file) for each in ended] == [(dead, 8000, "/log")]


def test_a_process_that_is_named_twice_is_ended_once(dead: int) -> None:
    twice = [Background(dead, "make", None, 0.0, call) for call in ("c1", "c2")]
    assert [each.pid for each in ended_processes(twice)] == [dead]
    assert left_processes([Background(os.getpid(), "x", None, 0.0, "c1")], [])[0].pid == os.getpid()
