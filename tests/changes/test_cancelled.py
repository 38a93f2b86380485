"""A run that is cancelled waits neither for the first look at its tree nor for a reader that has stopped."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path

import anyio
import pytest

from agent_runtime.agent.executor import CallInfo
from agent_runtime.changes.baseline import Baseline
from agent_runtime.changes.tracker import ChangeTracker
from agent_runtime.dev_servers.watcher import DevServerWatcher
from agent_runtime.engine.workspace_observer import WorkspaceObserver
from agent_runtime.protocol.messages import ToolCall
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import load
from tests.changes.workspace import TrackedWorkspace
from tests.support.model_server import Call, ModelServer, Turn
from tests.support.runtime import COMMAND, environment, full


async def nothing(_: object) -> None:
    pass


def test_while_the_baseline_is_taken(tracked: TrackedWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = threading.Event()
    take = Baseline.take

    def slowly(self: Baseline) -> None:
        looked.wait()
        take(self)

    monkeypatch.setattr(Baseline, "take", slowly)
    tracked.sh("seq 9 > f")
    tracker = ChangeTracker(tracked.ws, diff_dir=tracked.folder / "diffs")
    tracker.begin()

    async def main() -> None:
        observer = WorkspaceObserver(tracker, DevServerWatcher(template=None, sandbox_id=None), nothing)
        call = ToolCall(id="c1", name="bash", arguments="{}", input={})
        info, output = CallInfo(call, load("bash"), turn=1), ToolOutput.of("")
        with anyio.move_on_after(0.1) as cancelled:
            await observer.before(info)
        assert cancelled.cancelled_caught
        assert await observer.after(info, output, 0.1) is output
        await tracker.finish(hurried=True)

    timer = threading.Timer(30, looked.set)
    timer.start()
    try:
        anyio.run(main)
        assert not looked.is_set()
    finally:
        timer.cancel()
        looked.set()
    assert tracker.net().files == ()


def test_while_a_reader_that_stopped_is_sent_many_edits(tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    workspace.mkdir()
    many = Call("bash", {"command": "mkdir n; seq 1500 | split -l 1 -a 5 - n/f; touch ../made"})
    with ModelServer([Turn(calls=[many])]) as server:
        process = subprocess.Popen(
            [*COMMAND, "run", "--prompt", "x", "--workspace", str(workspace)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(server.environ("anthropic"), tmp_path / "state"),
        )
        with process:
            try:
                assert process.stdout
                while not full(process.stdout.fileno()):
                    assert process.poll() is None
                    time.sleep(0.05)
                process.send_signal(signal.SIGTERM)
                assert process.wait(10) == 143
            finally:
                process.kill()
