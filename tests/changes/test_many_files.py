"""A run that is stopped after it has changed many files: bounded in steps, and every changed file is known."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest

from agent_runtime.changes import deadline
from agent_runtime.engine.workspace_observer import WorkspaceObserver
from agent_runtime.protocol import events
from tests.changes.workspace import TrackedWorkspace
from tests.dev_servers.watchers import make_watcher

pytestmark = pytest.mark.long


class SteppingClock:
    """A clock that goes on by one step whenever it is read: a machine of a known speed."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.now = 1000.0

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], SteppingClock]:
    def of(step: float) -> SteppingClock:
        clock = SteppingClock(step)
        monkeypatch.setattr(deadline, "time", clock)
        return clock

    return of


def change_many(tracked: TrackedWorkspace, count: int, change: str) -> set[str]:
    """Change files in a hundred folders; returns their paths."""
    files = [tracked.ws / f"d{number % 100}" / f"f{number}" for number in range(count)]
    for folder in {file.parent for file in files}:
        folder.mkdir()
    if change != "create":
        for file in files:
            file.write_bytes(b"old\n")
    tracked.track()
    for file in files:
        if change == "delete":
            file.unlink()
        else:
            file.write_bytes(b"new text\n")
    return set(map(str, files))


async def end_hurriedly(tracked: TrackedWorkspace, is_behind: Callable[[], bool]) -> list[events.Event]:
    emitted: list[events.Event] = []

    async def emit(event: events.Event) -> None:
        emitted.append(event)

    servers = make_watcher()
    tracked.tracker.hurry()
    await WorkspaceObserver(tracked.tracker, servers, emit, is_behind).finish(hurried=True)
    return emitted


@pytest.mark.parametrize(
    ("count", "change"),
    [
        *((count, change) for count in (300, 6000) for change in ("modify", "create", "delete")),
        (20_000, "modify"),
        (60_000, "create"),
    ],
)
def test_every_changed_file_is_known_after_a_stop(
    tracked: TrackedWorkspace, machine: Callable[[float], SteppingClock], count: int, change: str
) -> None:
    clock = machine(2e-6)
    changed = change_many(tracked, count, change)
    began = clock.now
    emitted = anyio.run(end_hurriedly, tracked, lambda: False)
    net = tracked.tracker.net()
    assert clock.now - began < 2
    assert set(net.deleted_files if change == "delete" else net.files) == changed
    assert len(net.files) + len(net.deleted_files) == count
    edits = [event for event in emitted if isinstance(event, events.FileEditEvent)]
    assert {event.path for event in edits} <= changed and {event.action for event in edits} == {change}
    notices = [event for event in emitted if isinstance(event, events.NoticeEvent)]
    if count == 300:
        assert len(edits) == count and all(event.diff for event in edits) and not notices
    else:
        without_diff = [event for event in edits if event.truncated]
        assert [notice.details for notice in notices] == [
            {"limit": "time", "withoutDiff": len(without_diff), "withoutEvent": count - len(edits)}
        ]
    assert tracked.tracker.notices() == []


def test_a_slow_reader_gets_names_in_place_of_file_events(
    tracked: TrackedWorkspace, machine: Callable[[float], SteppingClock]
) -> None:
    machine(2e-6)
    changed = change_many(tracked, 6000, "modify")
    (edit, notice) = anyio.run(end_hurriedly, tracked, lambda: True)
    assert isinstance(edit, events.FileEditEvent) and edit.truncated and edit.diff == ""
    assert isinstance(notice, events.NoticeEvent)
    assert notice.details == {"limit": "time", "withoutDiff": 1, "withoutEvent": 5999}
    assert set(tracked.tracker.net().files) == changed


def test_a_scan_that_takes_too_long_is_reported_and_ends(
    tracked: TrackedWorkspace, machine: Callable[[float], SteppingClock], detection: str
) -> None:
    clock = machine(0)
    change_many(tracked, 6000, "create")
    clock.step = 1e-3
    began = clock.now
    emitted = anyio.run(end_hurriedly, tracked, lambda: False)
    tracked.tracker.net()
    assert clock.now - began < 2.5
    notices = [event for event in emitted if isinstance(event, events.NoticeEvent)]
    limits = [notice.details and notice.details["limit"] for notice in notices + tracked.tracker.notices()]
    assert "unexamined" in limits
