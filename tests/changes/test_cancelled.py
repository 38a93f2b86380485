"""A run that is cancelled waits neither for the first look at its tree nor for a reader that has stopped."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent_runtime.agent.executor import CallInfo
from agent_runtime.changes import tracker as tracker_module
from agent_runtime.changes.baseline import take_baseline
from agent_runtime.changes.tracked_files import TrackedFiles
from agent_runtime.changes.tracker import ChangeTracker
from agent_runtime.engine.workspace_observer import WorkspaceObserver
from agent_runtime.protocol.messages import ToolCall
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.testing.model_server import Call, ModelServer, Turn
from agent_runtime.testing.runtime import full
from agent_runtime.tools import load
from tests.changes.workspace import TrackedWorkspace, bash
from tests.dev_servers.watchers import make_watcher
from tests.support.runs import start_run
from tests.support.waiting import until


async def nothing(_: object) -> None:
    pass


def test_a_cancel_during_the_baseline_ends_the_run(
    tracked: TrackedWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()

    def slowly(*args: Any, **options: Any) -> TrackedFiles:
        looked.wait()
        return take_baseline(*args, **options)

    monkeypatch.setattr(tracker_module, "take_baseline", slowly)
    tracked.sh("seq 9 > f")
    tracker = ChangeTracker(tracked.ws, diff_dir=tracked.folder / "diffs")
    tracker.begin()

    async def main() -> None:
        observer = WorkspaceObserver(tracker, make_watcher(), nothing)
        call = ToolCall(id="c1", name="bash", arguments="{}", input={})
        info, output = CallInfo(call, load("bash"), turn=1), ToolOutput.of("")
        with anyio.move_on_after(0.1) as cancelled:
            await observer.before(info)
        assert cancelled.cancelled_caught
        assert await observer.after(info, output, 0.1) is output
        await tracker.finish(hurried=True)

    timer = threading.Timer(120, looked.set)
    timer.start()
    try:
        anyio.run(main)
        assert not looked.is_set()
    finally:
        timer.cancel()
        looked.set()
    assert tracker.net().files == ()


def test_a_cancel_ends_the_run_although_the_reader_takes_no_edits(tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    workspace.mkdir()
    many = Call("bash", {"command": "mkdir n; seq 1500 | split -l 1 -a 5 - n/f; touch ../made"})
    with ModelServer([Turn(calls=[many])]) as server:
        process = start_run(server, workspace, "--prompt", "x")
        with process:
            try:
                assert process.stdout
                descriptor = process.stdout.fileno()
                until(lambda: full(descriptor) or process.poll() is not None)
                assert process.poll() is None
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 143
            finally:
                process.kill()


@pytest.mark.timed
@pytest.mark.parametrize("what", ["many files", "large binary", "large texts"])
def test_a_cancel_after_many_changes_ends_within_the_limit(tmp_path: Path, what: str) -> None:
    workspace = tmp_path / "ws"
    workspace.mkdir()
    prepare, change, count = {
        "many files": (
            "seq 10000 | split -l 1 -a 5 - f",
            "find . -name 'f*' -print0 | xargs -0 sed -i s/^/x/",
            10_000,
        ),
        "large binary": ("head -c 60000000 /dev/urandom > b", "printf x >> b", 1),
        "large texts": ("for i in 1 2 3 4; do yes $i | head -c 30000000 > t$i; done", "sed -i s/^/x/ t*", 4),
    }[what]
    bash(prepare, workspace)
    call = Call("bash", {"command": f"{change}; touch ../made; sleep 60"})
    with ModelServer([Turn(calls=[call])]) as server:
        process = start_run(server, workspace, "--prompt", "x")
        lines: list[bytes] = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
        reader.start()
        with process:
            try:
                until(lambda: (tmp_path / "made").exists() or process.poll() is not None)
                assert process.poll() is None
                began = time.monotonic()
                process.send_signal(signal.SIGTERM)
                assert process.wait(120) == 143
                assert time.monotonic() - began < 3 * max(1, os.getloadavg()[0] / (os.cpu_count() or 1))
                reader.join()
            finally:
                process.kill()
    complete = json.loads(lines[-1])
    assert (complete["type"], len(complete["files"])) == ("complete", count)
