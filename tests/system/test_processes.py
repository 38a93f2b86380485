"""A process as /proc has it."""

from __future__ import annotations

import os

import pytest

from agent_runtime.system import processes
from agent_runtime.system.processes import Process


def test_a_process_finds_itself() -> None:
    assert Process.own().pid == os.getpid()


def test_where_proc_is_not_mounted_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_read", lambda name: b"")
    with pytest.raises(RuntimeError, match="/proc is not mounted: mount it"):
        Process.own()
