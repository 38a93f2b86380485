"""Without inotify: writes between calls are seen at once where the run is at work, and anywhere by the next walk."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream

from agent_runtime.changes import tracker
from agent_runtime.changes.polling import PolledFolders
from agent_runtime.protocol.events import FileEditEvent
from tests.changes.workspace import TrackedWorkspace, brief
from tests.support.waiting import until_async

NEVER = 3600.0


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that goes on is reported as soon as one that begins."""
    monkeypatch.setattr(tracker, "_SETTLE_MOST", 0.2)


@asynccontextmanager
async def watched(tracked: TrackedWorkspace) -> AsyncIterator[MemoryObjectReceiveStream[FileEditEvent]]:
    send, receive = anyio.create_memory_object_stream[FileEditEvent](100)
    async with anyio.create_task_group() as group, send, receive:
        group.start_soon(tracked.tracker.watch, send.send)
        with anyio.fail_after(60):
            yield receive
        group.cancel_scope.cancel()


def reporting(wait: Callable[..., Awaitable[bool]], done: threading.Event) -> Callable[..., Awaitable[bool]]:
    """`PolledFolders.wait`, with an event for the end of the first call: then the folders are polled."""

    async def wrapped(*arguments: Any) -> bool:
        found = await wait(*arguments)
        done.set()
        return found

    return wrapped


def test_writes_are_seen_without_a_walk(
    tracked: TrackedWorkspace, blind: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked.sh("mkdir -p work aside; seq 9 > work/f; seq 9 > aside/f; seq 5 > $'work/lat\\xe9'")
    monkeypatch.setattr(tracker, "_POLL", NEVER)
    blind()
    tracked.begin()
    tracked.run("echo x >> work/f; touch -d '1 hour ago' work/f")  # polling compares whole seconds
    scripts = {  # each makes one change in one step
        "echo y >> work/f": [("modify", "work/f")],
        "mkdir -p ../new/deep; seq 3 > ../new/deep/f; mv ../new work/new": [("create", "work/new/deep/f")],
        "seq 3 > ../top; mv ../top top": [("create", "top")],
        "rm $'work/lat\\xe9'": [("delete", "work/lat\ufffd")],
        "echo z > ../lat; mv ../lat $'work/lat\\xe8'": [("create", "work/lat\ufffd")],
    }

    async def main() -> None:
        async with watched(tracked) as found:
            for script, reported in scripts.items():
                tracked.sh(f"echo unseen >> aside/f; {script}")
                tracked.events.append(await found.receive())
                assert brief(tracked.events[-1:], tracked.ws) == reported
            assert found.statistics().current_buffer_used == 0

    anyio.run(main)
    assert brief(tracked.finish(), tracked.ws) == [("modify", "aside/f")]
    tracked.check()


def test_the_walk_finds_the_rest(
    tracked: TrackedWorkspace, blind: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked.sh("mkdir -p a/b; seq 9 > a/b/f")
    monkeypatch.setattr(tracker, "_POLL", 0.2)
    blind()
    tracked.begin()

    async def main() -> None:
        async with watched(tracked) as found:
            tracked.sh("echo x >> a/b/f")
            tracked.events.append(await found.receive())

    anyio.run(main)
    assert brief(tracked.events, tracked.ws) == [("modify", "a/b/f")]
    tracked.check()


def test_a_watched_folder_replaced_by_a_symlink_is_not_followed(
    tracked: TrackedWorkspace, blind: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked.sh("mkdir -p d other; seq 9 > d/f; seq 5 > other/g")
    monkeypatch.setattr(tracker, "_POLL", NEVER)
    blind()
    tracked.begin()
    tracked.run("echo x >> d/f")
    polled = threading.Event()
    monkeypatch.setattr(PolledFolders, "wait", reporting(PolledFolders.wait, polled))

    async def main() -> None:
        async with watched(tracked) as found:
            await until_async(polled.is_set)
            tracked.sh("mv d ../away; ln -s other d; echo x >> other/g; echo new > ../here; mv ../here here")
            for _ in range(3):
                tracked.events.append(await found.receive())

    anyio.run(main)
    assert sorted(brief(tracked.events[1:], tracked.ws)) == [
        ("create", "d"),
        ("create", "here"),
        ("delete", "d/f"),
    ]
    assert brief(tracked.finish(), tracked.ws) == [("modify", "other/g")]
    tracked.check()


@pytest.mark.anyio
async def test_waiting_for_quiet_folders_times_out_and_for_vanished_ones_returns(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    folders = PolledFolders(os.fsencode(tmp_path))
    live = frozenset({b"", b"d", b"gone", b"lat\xe9"})
    try:
        assert await folders.wait(live, 60)  # changes from before the polling are not known
        assert not await folders.wait(live, 0.5)
        (tmp_path / "d").rmdir()
        with anyio.fail_after(60):
            assert await folders.wait(live, 60)
    finally:
        folders.close()
