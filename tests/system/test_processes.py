"""A process as /proc has it."""

from __future__ import annotations

import os
import signal

import pytest

from agent_runtime.system import processes
from agent_runtime.system.process_tree import lineage
from agent_runtime.system.processes import Process


def test_a_process_finds_itself() -> None:
    assert Process.own().pid == os.getpid()


def test_where_proc_is_not_mounted_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "read", lambda name: b"")
    with pytest.raises(RuntimeError, match="/proc is not mounted: mount it"):
        Process.own()


@pytest.mark.parametrize(
    ("flags", "pending", "is_dying"),
    [
        pytest.param(0x400000, 0, False, id="runs"),
        pytest.param(0x400000, 1 << signal.SIGTERM - 1, False, id="has not handled SIGTERM yet"),
        pytest.param(0x400000, 1 << signal.SIGKILL - 1, True, id="a signal ends it"),
        pytest.param(0x400004, 0, True, id="exits"),
    ],
)
def test_a_process_on_its_way_to_its_end_is_dying(
    monkeypatch: pytest.MonkeyPatch, flags: int, pending: int, is_dying: bool
) -> None:
    files = {
        "/proc/7/stat": f"7 (a) b) S 1 7 7 0 -1 {flags} {' 0' * 12} 5".encode(),
        "/proc/7/status": f"Name:\ta) b\nShdPnd:\t{0:016x}\nSigPnd:\t{pending:016x}\n".encode(),
    }
    monkeypatch.setattr(processes, "read", lambda name: files.get(name, b""))
    assert Process(7, 1, 7, "S", 5).is_dying == is_dying
    assert Process(8, 1, 8, "S", 5).is_dying  # has ended


def stat(pid: int, parent: int, start: int) -> bytes:
    numbers = [parent, pid, pid, *[0] * 15, start]
    return f"{pid} (a) b) S {' '.join(map(str, numbers))}".encode()


@pytest.mark.parametrize(
    ("looks", "pids"),
    [
        pytest.param([(30, 20, 3), (20, 10, 2), (10, 0, 1)], [30, 20, 10], id="whole"),
        pytest.param([(30, 20, 3), (20,), (30, 10, 3), (10, 0, 1)], [30, 10], id="parent ends"),
        pytest.param([(30, 20, 3), (20, 1, 9), (30, 10, 3), (10, 0, 1)], [30, 10], id="pid used again"),
        pytest.param([(30, 20, 3), (20,), (30,)], [30], id="both end"),
        pytest.param([(30, 20, 3), (20,), (30, 7, 9)], [30], id="both end, pid used again"),
        pytest.param([(30, 20, 3), (20,), (30, 20, 3)], [30], id="parent of another user"),
    ],
)
def test_a_lineage_is_right_while_processes_end(
    monkeypatch: pytest.MonkeyPatch, looks: list[tuple[int, ...]], pids: list[int]
) -> None:
    """`looks` is what /proc has, in this order: pid, parent and start of a process, or the pid of one that ended."""
    waiting = iter(looks)

    def read(name: str) -> bytes:
        look = next(waiting)
        assert name == f"/proc/{look[0]}/stat"
        return stat(*look) if len(look) == 3 else b""

    monkeypatch.setattr(processes, "read", read)
    first = Process.of(30)
    assert first
    assert [process.pid for process in lineage(first)] == pids
    assert next(waiting, None) is None
