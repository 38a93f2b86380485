"""Whose signal it is, where the sender ends while it is looked at."""

from __future__ import annotations

import os
import subprocess

import pytest

from agent_runtime.engine import tool_signals
from agent_runtime.engine.tool_signals import ToolSignals
from agent_runtime.system.processes import Process


@pytest.mark.parametrize("tools_run", [True, False])
def test_a_sender_that_ends_while_it_is_examined_is_a_tools_if_tools_run(
    monkeypatch: pytest.MonkeyPatch, tools_run: bool
) -> None:
    """Its ancestors are not to be seen any more, so that its place below the run is not found."""
    signals = ToolSignals()
    monkeypatch.setattr(signals, "_tools_run", lambda: tools_run)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, env={}, start_new_session=True) as sender:

        def ended(process: Process) -> list[Process]:
            sender.kill()
            sender.wait()
            return [process]

        monkeypatch.setattr(tool_signals, "lineage", ended)
        assert signals.ignores(15, sender.pid) is tools_run


def test_a_living_sender_above_the_run_is_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    signals = ToolSignals()
    monkeypatch.setattr(signals, "_tools_run", lambda: True)
    assert not signals.ignores(15, os.getppid())
