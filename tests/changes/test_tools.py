"""What edit tools write: told at once, as theirs, wherever it is."""

from __future__ import annotations

from pathlib import Path

import anyio

from agent_runtime.protocol.events import FileEditEvent
from tests.changes.lab import Lab, apply, brief


def replace_text(path: Path, text: str) -> None:
    """As an edit engine does: a new file renamed over the old."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(".agent-runtime-unfinished")
    beside.write_text(text)
    beside.rename(path)


def test_a_tools_edit_is_its_own(lab: Lab) -> None:
    lab.sh("seq 9 > f; seq 5 > g; seq 30 > h")
    lab.begin()
    replace_text(lab.ws / "f", "new\n")
    (lab.ws / "h").rename(lab.ws / "i")
    lab.sh("echo by the shell >> g")
    events = lab.note(lab.ws / "f", lab.ws / "h", Path("i"), lab.ws / "untouched")
    assert brief(events, lab.ws) == [("rename", "i", "h"), ("modify", "f")]
    assert {(event.source, event.tool_call_id) for event in events} == {("tool", "t1")}
    assert [(event.source, event.path) for event in lab.scan()] == [("shell", str(lab.ws / "g"))]
    assert lab.note(lab.ws / "f") == []
    lab.check()


def test_new_folders_of_a_tool_are_watched(lab: Lab) -> None:
    lab.begin()
    lab.expect(lab.ws / "a/b/new")
    replace_text(lab.ws / "a/b/new", "one\n")
    (lab.ws / "a/b/beside").write_text("by another\n")
    assert brief(lab.note(lab.ws / "a/b/new"), lab.ws) == [("create", "a/b/new")]
    assert brief(lab.scan(), lab.ws) == [("create", "a/b/beside")]
    assert brief(lab.run("echo two >> a/b/new; echo x > a/other"), lab.ws) == [
        ("modify", "a/b/new"),
        ("create", "a/other"),
    ]
    lab.check()


def test_whole_folders_of_a_tool(lab: Lab) -> None:
    lab.sh("mkdir -p a/b c; seq 9 > a/b/f; seq 8 > c/g")
    lab.begin()
    lab.sh("mv a d; rm -r c")
    events = lab.note(lab.ws / "a", lab.ws / "d", lab.ws / "c")
    assert brief(events, lab.ws) == [("delete", "c/g"), ("rename", "d/b/f", "a/b/f")]
    assert {event.source for event in events} == {"tool"} and lab.scan() == []
    assert brief(lab.run("echo x >> d/b/f"), lab.ws) == [("modify", "d/b/f")]
    lab.check()


def test_a_scan_beside_leaves_an_expected_edit_alone(lab: Lab) -> None:
    lab.sh("seq 9 > f; seq 9 > g")
    lab.begin()
    lab.expect(lab.ws / "f")
    replace_text(lab.ws / "f", "by a tool\n")
    assert brief(lab.run("echo x >> g"), lab.ws) == [("modify", "g")]
    assert lab.scan() == []
    (event,) = lab.note(lab.ws / "f")
    assert (event.source, event.additions, event.deletions) == ("tool", 1, 9)
    lab.expect(lab.ws / "f")
    lab.sh("echo y >> f")
    assert lab.scan() == [] and brief(lab.finish(), lab.ws) == [("modify", "f")]
    lab.check()


def test_through_symlinks(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "real")
    (tmp_path / "alias").symlink_to(lab.folder)
    lab.sh("mkdir d; seq 9 > d/f; ln -s d link; ln -s d/f file")
    lab.begin()
    (lab.ws / "d/f").write_text("one\n")
    assert brief(lab.note(tmp_path / "alias/ws/link/f"), lab.ws) == [("modify", "d/f")]
    (lab.ws / "d/f").write_text("two\n")
    assert brief(lab.note(lab.ws / "file"), lab.ws) == [("modify", "d/f")]
    lab.check()


def test_outside_of_the_workspace(lab: Lab) -> None:
    there, new = lab.folder / "elsewhere/conf", lab.folder / "elsewhere/new"
    there.parent.mkdir()
    there.write_text("one\ntwo\n")
    lab.begin()
    lab.expect(there, new)
    there.write_text("one\n2\n")
    new.write_text("x\n")
    events = lab.note(there, new)
    name = str(there).lstrip("/")
    assert (
        events[0].diff
        == f"diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n"
    )
    assert [(event.action, event.path, event.outside_workspace) for event in events] == [
        ("modify", str(there), True), ("create", str(new), True),
    ]  # fmt: skip
    there.write_text("one\n3\n")
    (later,) = lab.scan()
    assert (later.action, later.source, later.additions) == ("modify", "shell", 1)
    new.unlink()
    lab.finish()
    assert lab.tracker.net().files == (str(there),) and lab.tracker.net().deleted_files == ()


def test_ignored_files_that_a_tool_writes_are_told(lab: Lab) -> None:
    lab.sh("printf '.env\nout\n' > .gitignore; echo A=1 > .env; mkdir out; seq 9 > out/f; git init -q")
    lab.begin()
    for path, text in (
        (lab.ws / ".env", "A=2\n"),
        (lab.ws / "out/f", "x\n"),
        (lab.ws / ".git/description", "mine\n"),
    ):
        lab.expect(path)
        path.write_text(text)
        lab.note(path)
    assert [event.action for event in lab.events] == ["modify"] * 3
    assert lab.events[2].diff == ""  # git takes no patch of its own files
    for event in lab.events:
        apply(event, lab.copy)
    assert (lab.copy / ".env").read_text() == "A=2\n" and (lab.copy / "out/f").read_text() == "x\n"


def test_ignored_files_of_unknown_content_get_no_patch(lab: Lab) -> None:
    lab.sh("echo .env > .gitignore; echo A=1 > .env")
    lab.begin()
    (lab.ws / ".env").write_text("A=2\n")
    (event,) = lab.note(lab.ws / ".env")
    assert (event.action, event.diff, event.binary) == ("modify", "", None)
    (event,) = lab.run("echo A=3 > .env")
    assert (event.action, event.additions, event.deletions) == ("modify", 1, 1)
    assert lab.tracker.net().files == lab.texts([b".env"])


def test_background_writers_are_seen_between_calls(lab: Lab) -> None:
    lab.sh("seq 9 > f")
    lab.begin()

    async def main() -> None:
        send, receive = anyio.create_memory_object_stream[FileEditEvent](10)
        async with anyio.create_task_group() as group, send, receive:
            group.start_soon(lab.tracker.watch, send.send)
            with lab.tracker.hold():
                await anyio.run_process(["bash", "-c", "echo x >> f"], cwd=lab.ws)
                with anyio.move_on_after(0.5):
                    lab.events.append(await receive.receive())
                assert lab.events == []
                lab.events += await lab.tracker.scan(call_id="c1")
            await anyio.run_process(
                ["bash", "-c", "(sleep 0.1; echo y >> f; mkdir -p new/deep; echo z > new/deep/f) &"],
                cwd=lab.ws,
            )
            with anyio.fail_after(20):
                lab.events += [await receive.receive(), await receive.receive()]
            group.cancel_scope.cancel()

    anyio.run(main)
    assert [(event.tool_call_id, event.source) for event in lab.events] == [
        ("c1", "shell"),
        (None, "shell"),
        (None, "shell"),
    ]
    lab.check()


def test_what_a_cancelled_scan_found_is_told_by_the_next(lab: Lab) -> None:
    lab.begin()
    lab.sh("seq 9 > f")

    async def main() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await lab.tracker.scan(call_id="c1")
        async with anyio.create_task_group() as group:
            group.start_soon(cancelled_soon, group)
        lab.events += await lab.tracker.scan(call_id="c2")

    async def cancelled_soon(group: anyio.abc.TaskGroup) -> None:
        group.cancel_scope.cancel()
        await lab.tracker.scan(call_id="c1")

    anyio.run(main)
    assert brief(lab.events, lab.ws) == [("create", "f")]
    lab.check()


def test_everything_at_once_stays_in_order(lab: Lab) -> None:
    """Background writers, a watch, scans and edits of the same files: the patches still apply in order."""
    lab.sh("for i in 1 2 3; do seq 40 > f$i; done")
    lab.begin()

    async def emit(event: FileEditEvent) -> None:
        await anyio.sleep(0.001)  # a slow reader
        lab.events.append(event)

    async def edit(number: int) -> None:
        for turn in range(12):
            path = lab.ws / f"f{number % 3 + 1}"
            expected = await lab.tracker.expect([path])
            replace_text(path, f"edit {number} {turn}\n" + path.read_text())
            async with lab.tracker.turn():
                for event in await lab.tracker.note([path], call_id=f"e{number}"):
                    await emit(event)
            await lab.tracker.release(expected)
            await anyio.sleep(0.02)

    async def shell() -> None:
        for turn in range(6):
            with lab.tracker.hold():
                await anyio.run_process(
                    ["bash", "-c", f"sed -i {turn + 2}d f2; seq {turn} >> g{turn % 2}"], cwd=lab.ws
                )
                async with lab.tracker.turn():
                    for event in await lab.tracker.scan(call_id=f"s{turn}"):
                        await emit(event)

    async def main() -> None:
        writer = "for i in $(seq 40); do echo $i >> log; sed -i 1d f3; sleep 0.02; done"
        async with anyio.create_task_group() as group:
            group.start_soon(lab.tracker.watch, emit)
            async with anyio.create_task_group() as work:
                work.start_soon(anyio.run_process, ["bash", "-c", f"cd {lab.ws}; {writer}"])
                work.start_soon(edit, 0)
                work.start_soon(shell)
            await anyio.sleep(0.3)
            group.cancel_scope.cancel()

    anyio.run(main)
    lab.check()
