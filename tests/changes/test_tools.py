"""What edit tools write is reported at once, as their change, wherever it is."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import anyio
import pytest

from agent_runtime.changes.ledger import Ledger
from agent_runtime.protocol.events import FileEditEvent
from tests.changes.workspace import TrackedWorkspace, apply, brief
from tests.support.waiting import until_async


def replace_text(path: Path, text: str) -> None:
    """As an edit engine does: a new file renamed over the old."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(".agent-runtime-unfinished")
    beside.write_text(text)
    beside.rename(path)


def test_an_edit_of_a_tool_is_attributed_to_it(tracked: TrackedWorkspace) -> None:
    tracked.sh("seq 9 > f; seq 5 > g; seq 30 > h")
    tracked.begin()
    replace_text(tracked.ws / "f", "new\n")
    (tracked.ws / "h").rename(tracked.ws / "i")
    tracked.sh("echo by the shell >> g")
    events = tracked.note(tracked.ws / "f", tracked.ws / "h", Path("i"), tracked.ws / "untouched")
    assert brief(events, tracked.ws) == [("rename", "i", "h"), ("modify", "f")]
    assert {(event.source, event.tool_call_id) for event in events} == {("tool", "t1")}
    assert [(event.source, event.path) for event in tracked.scan()] == [("shell", str(tracked.ws / "g"))]
    assert tracked.note(tracked.ws / "f") == []
    tracked.check()


def test_folders_created_by_a_tool_are_watched(tracked: TrackedWorkspace) -> None:
    tracked.begin()
    tracked.expect(tracked.ws / "a/b/new")
    replace_text(tracked.ws / "a/b/new", "one\n")
    (tracked.ws / "a/b/beside").write_text("by another\n")
    assert brief(tracked.note(tracked.ws / "a/b/new"), tracked.ws) == [("create", "a/b/new")]
    assert brief(tracked.scan(), tracked.ws) == [("create", "a/b/beside")]
    assert brief(tracked.run("echo two >> a/b/new; echo x > a/other"), tracked.ws) == [
        ("modify", "a/b/new"),
        ("create", "a/other"),
    ]
    tracked.check()


def test_a_folder_moved_or_deleted_by_a_tool_is_attributed_to_it(tracked: TrackedWorkspace) -> None:
    tracked.sh("mkdir -p a/b c; seq 9 > a/b/f; seq 8 > c/g")
    tracked.begin()
    tracked.sh("mv a d; rm -r c")
    events = tracked.note(tracked.ws / "a", tracked.ws / "d", tracked.ws / "c")
    assert brief(events, tracked.ws) == [("delete", "c/g"), ("rename", "d/b/f", "a/b/f")]
    assert {event.source for event in events} == {"tool"} and tracked.scan() == []
    assert brief(tracked.run("echo x >> d/b/f"), tracked.ws) == [("modify", "d/b/f")]
    tracked.check()


def test_a_concurrent_scan_does_not_report_an_expected_edit(tracked: TrackedWorkspace) -> None:
    tracked.sh("seq 9 > f; seq 9 > g")
    tracked.begin()
    tracked.expect(tracked.ws / "f")
    replace_text(tracked.ws / "f", "by a tool\n")
    assert brief(tracked.run("echo x >> g"), tracked.ws) == [("modify", "g")]
    assert tracked.scan() == []
    (event,) = tracked.note(tracked.ws / "f")
    assert (event.source, event.additions, event.deletions) == ("tool", 1, 9)
    tracked.expect(tracked.ws / "f")
    tracked.sh("echo y >> f")
    assert tracked.scan() == [] and brief(tracked.finish(), tracked.ws) == [("modify", "f")]
    tracked.check()


def test_edits_through_symlinks_are_reported_by_their_real_path(tmp_path: Path) -> None:
    tracked = TrackedWorkspace(tmp_path / "real")
    (tmp_path / "alias").symlink_to(tracked.folder)
    tracked.sh("mkdir d; seq 9 > d/f; ln -s d link; ln -s d/f file")
    tracked.begin()
    (tracked.ws / "d/f").write_text("one\n")
    assert brief(tracked.note(tmp_path / "alias/ws/link/f"), tracked.ws) == [("modify", "d/f")]
    (tracked.ws / "d/f").write_text("two\n")
    assert brief(tracked.note(tracked.ws / "file"), tracked.ws) == [("modify", "d/f")]
    tracked.check()


def test_edits_outside_of_the_workspace_are_reported(tracked: TrackedWorkspace) -> None:
    there, new = tracked.folder / "elsewhere/conf", tracked.folder / "elsewhere/new"
    there.parent.mkdir()
    there.write_text("one\ntwo\n")
    tracked.begin()
    tracked.expect(there, new)
    there.write_text("one\n2\n")
    new.write_text("x\n")
    events = tracked.note(there, new)
    name = str(there).lstrip("/")
    assert (
        events[0].diff
        == f"diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n"
    )
    assert [(event.action, event.path, event.outside_workspace) for event in events] == [
        ("modify", str(there), True), ("create", str(new), True),
    ]  # fmt: skip
    there.write_text("one\n3\n")
    (later,) = tracked.scan()
    assert (later.action, later.source, later.additions) == ("modify", "shell", 1)
    new.unlink()
    tracked.finish()
    assert tracked.tracker.net().files == (str(there),) and tracked.tracker.net().deleted_files == ()


def test_ignored_files_that_a_tool_writes_are_reported(tracked: TrackedWorkspace) -> None:
    tracked.sh("printf '.env\nout\n' > .gitignore; echo A=1 > .env; mkdir out; seq 9 > out/f; git init -q")
    tracked.begin()
    for path, text in (
        (tracked.ws / ".env", "A=2\n"),
        (tracked.ws / "out/f", "x\n"),
        (tracked.ws / ".git/description", "mine\n"),
    ):
        tracked.expect(path)
        path.write_text(text)
        tracked.note(path)
    assert [event.action for event in tracked.events] == ["modify"] * 3
    assert tracked.events[2].diff == ""  # git accepts no patch of its own files
    for event in tracked.events:
        apply(event, tracked.copy)
    assert (tracked.copy / ".env").read_text() == "A=2\n" and (tracked.copy / "out/f").read_text() == "x\n"


def test_ignored_files_of_unknown_content_get_no_patch(tracked: TrackedWorkspace) -> None:
    tracked.sh("echo .env > .gitignore; echo A=1 > .env")
    tracked.begin()
    (tracked.ws / ".env").write_text("A=2\n")
    (event,) = tracked.note(tracked.ws / ".env")
    assert (event.action, event.diff, event.binary) == ("modify", "", None)
    (event,) = tracked.run("echo A=3 > .env")
    assert (event.action, event.additions, event.deletions) == ("modify", 1, 1)
    assert tracked.tracker.net().files == tracked.texts([b".env"])


def test_background_writers_are_seen_between_calls(
    tracked: TrackedWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked.sh("seq 9 > f")
    tracked.begin()
    looked, look_ahead = threading.Event(), Ledger.look_ahead

    def reporting(ledger: Ledger) -> Iterable[FileEditEvent]:
        yield from look_ahead(ledger)
        looked.set()

    monkeypatch.setattr(Ledger, "look_ahead", reporting)

    async def main() -> None:
        send, receive = anyio.create_memory_object_stream[FileEditEvent](10)
        async with anyio.create_task_group() as group, send, receive:
            group.start_soon(tracked.tracker.watch, send.send)
            with tracked.tracker.hold():
                await anyio.run_process(["bash", "-c", "echo x >> f"], cwd=tracked.ws)
                await until_async(looked.is_set)
                async with tracked.tracker.turn():  # after a look that found something
                    assert receive.statistics().current_buffer_used == 0
                tracked.events += await tracked.tracker.scan(call_id="c1")
            await anyio.run_process(
                ["bash", "-c", "(echo y >> f; mkdir -p ../n/deep; echo z > ../n/deep/f; mv ../n new) &"],
                cwd=tracked.ws,
            )
            with anyio.fail_after(60):
                tracked.events += [await receive.receive(), await receive.receive()]
            group.cancel_scope.cancel()

    anyio.run(main)
    assert [(event.tool_call_id, event.source) for event in tracked.events] == [
        ("c1", "shell"),
        (None, "shell"),
        (None, "shell"),
    ]
    tracked.check()


def test_changes_found_by_a_cancelled_scan_are_reported_by_the_next(tracked: TrackedWorkspace) -> None:
    tracked.begin()
    tracked.sh("seq 9 > f")

    async def main() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await tracked.tracker.scan(call_id="c1")
        async with anyio.create_task_group() as group:
            group.start_soon(cancelled_soon, group)
        tracked.events += await tracked.tracker.scan(call_id="c2")

    async def cancelled_soon(group: anyio.abc.TaskGroup) -> None:
        group.cancel_scope.cancel()
        await tracked.tracker.scan(call_id="c1")

    anyio.run(main)
    assert brief(tracked.events, tracked.ws) == [("create", "f")]
    tracked.check()


def test_concurrent_changes_are_reported_in_order(tracked: TrackedWorkspace) -> None:
    """Background writers, a watch, scans and edits of the same files: the patches still apply in order."""
    tracked.sh("for i in 1 2 3; do seq 40 > f$i; done")
    tracked.begin()

    async def emit(event: FileEditEvent) -> None:
        await anyio.lowlevel.checkpoint()
        tracked.events.append(event)

    async def edit(number: int) -> None:
        for turn in range(12):
            path = tracked.ws / f"f{number % 3 + 1}"
            expected = await tracked.tracker.expect([path])
            replace_text(path, f"edit {number} {turn}\n" + path.read_text())
            async with tracked.tracker.turn():
                for event in await tracked.tracker.note([path], call_id=f"e{number}"):
                    await emit(event)
            await tracked.tracker.release(expected)

    async def shell() -> None:
        for turn in range(6):
            with tracked.tracker.hold():
                await anyio.run_process(
                    ["bash", "-c", f"sed -i {turn + 2}d f2; seq {turn} >> g{turn % 2}"], cwd=tracked.ws
                )
                async with tracked.tracker.turn():
                    for event in await tracked.tracker.scan(call_id=f"s{turn}"):
                        await emit(event)

    async def main() -> None:
        writer = "for i in $(seq 40); do echo $i >> log; sed -i 1d f3; done"
        async with anyio.create_task_group() as group:
            group.start_soon(tracked.tracker.watch, emit)
            async with anyio.create_task_group() as work:
                work.start_soon(anyio.run_process, ["bash", "-c", f"cd {tracked.ws}; {writer}"])
                work.start_soon(edit, 0)
                work.start_soon(shell)
            group.cancel_scope.cancel()

    anyio.run(main)
    tracked.check()
