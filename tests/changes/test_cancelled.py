"""A run that is cancelled while its tree is still being looked at does not wait for that look."""

from __future__ import annotations

import threading
import time

import anyio
import pytest

from agent_runtime.messages import ToolCall
from agent_runtime.observer import WorldObserver
from agent_runtime.tool import ToolOutput
from agent_runtime.tools import load
from agent_runtime.tracking.baseline import Baseline
from agent_runtime.tracking.changes import ChangeTracker
from agent_runtime.tracking.servers import DevServers
from tests.changes.lab import Lab


async def nothing(_: object) -> None:
    pass


def test_while_the_baseline_is_taken(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = threading.Event()
    take = Baseline.take

    def slowly(self: Baseline) -> None:
        looked.wait()
        take(self)

    monkeypatch.setattr(Baseline, "take", slowly)
    lab.sh("seq 9 > f")
    tracker = ChangeTracker(lab.ws, diff_dir=lab.folder / "diffs")
    tracker.begin()

    async def main() -> None:
        observer = WorldObserver(tracker, DevServers(template=None, sandbox_id=None), nothing)
        call, tool = ToolCall(id="c1", name="bash", arguments="{}", input={}), load("bash")
        with anyio.move_on_after(0.1) as cancelled:
            await observer.before(call, tool)
        assert cancelled.cancelled_caught
        assert await observer.after(call, tool, ToolOutput.of("")) == ""
        await tracker.finish(hurried=True)

    timer = threading.Timer(5, looked.set)
    timer.start()
    began = time.monotonic()
    try:
        anyio.run(main)
        assert time.monotonic() - began < 3
    finally:
        timer.cancel()
        looked.set()
    assert tracker.net().files == ()
