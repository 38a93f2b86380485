"""File work runs in threads that a cancelled call leaves behind; a change of files is made whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from agent_runtime.errors import ToolError
from agent_runtime.files import atomic_write
from agent_runtime.files import worker as worker_module
from agent_runtime.files.atomic_write import Write, write_all
from agent_runtime.files.safe_paths import walk
from agent_runtime.files.worker import FileWorker
from agent_runtime.system import credentials

pytestmark = pytest.mark.anyio


async def reached(event: threading.Event) -> None:
    while not event.is_set():
        await anyio.lowlevel.checkpoint()


async def test_results_and_errors_are_passed_on() -> None:
    worker = FileWorker()
    assert await worker.run(lambda: 3) == 3
    assert await worker.commit(lambda cancelled: cancelled.is_set()) is False
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        await worker.commit(lambda _: 1 // 0)
    with pytest.raises(KeyError):
        FileWorker("no-such-user")


@pytest.mark.parametrize("changes", [False, True])
async def test_a_cancelled_call_leaves_work_that_hangs(
    changes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once when the work changes nothing, else after a moment of grace."""
    begun, end = threading.Event(), threading.Event()
    monkeypatch.setattr(worker_module, "_GRACE", 0.01)

    def work(*_: object) -> None:
        begun.set()
        end.wait()

    worker = FileWorker()
    try:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(worker.commit if changes else worker.run, work)
                await reached(begun)
                group.cancel_scope.cancel()
        assert group.cancel_scope.cancelled_caught and not end.is_set()
    finally:
        end.set()


@pytest.mark.parametrize("succeeds", [True, False])
async def test_a_change_that_was_made_is_returned_to_a_cancelled_call(succeeds: bool) -> None:
    begun = threading.Event()
    returned: list[str] = []

    def work(cancelled: threading.Event) -> str:
        begun.set()
        assert cancelled.wait(60)
        if not succeeds:
            raise ValueError
        return "done"

    async def call() -> None:
        returned.append(await FileWorker().commit(work))

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await reached(begun)
        group.cancel_scope.cancel()
    assert returned == (["done"] if succeeds else [])


@pytest.mark.parametrize("before", ["any write", "the second file", "the first rename"])
def test_nothing_is_written_once_the_call_is_cancelled(
    tmp_path: Path, before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled = threading.Event()
    flushed: list[int] = []

    def sync(fd: int) -> None:
        flushed.append(fd)
        if len(flushed) == {"any write": 0, "the second file": 1, "the first rename": 2}[before]:
            cancelled.set()

    if before == "any write":
        cancelled.set()
    monkeypatch.setattr(atomic_write, "sync", sync)
    places = [walk(name, tmp_path) for name in ("a", "new/b")]
    with pytest.raises(Exception, match="The call was cancelled"):
        write_all([Write(place, None, b"x") for place in places], cancelled)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
async def test_work_is_refused_when_the_credentials_cannot_be_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(credentials, "_SETGROUPS", {})
    ran: list[int] = []
    with pytest.raises(ToolError, match="Files cannot be used as another user here"):
        await FileWorker("games").run(lambda: ran.append(1))
    assert not ran
    await FileWorker("root").run(lambda: ran.append(1))  # the process runs as this user already
    assert ran
