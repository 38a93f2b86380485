"""The real edit engine beside the shell: whose a change is, whatever became of the edit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from agent_runtime.engine.workspace_observer import WorkspaceObserver
from agent_runtime.errors import ToolError
from agent_runtime.files.editor import FileEditor
from agent_runtime.protocol import events
from tests.changes.workspace import TrackedWorkspace, bash, brief
from tests.dev_servers.watchers import make_watcher

Edit = Callable[[FileEditor], Awaitable[str]]


def seen(tracked: TrackedWorkspace, edit: Edit, script: str) -> tuple[str | None, list[tuple[str, ...]]]:
    """An edit, then a shell call: what the edit was refused with, and the events of the call."""

    async def nothing(event: events.Event) -> None:
        assert isinstance(event, events.FileEditEvent)
        tracked.events.append(event)

    async def main() -> tuple[str | None, list[tuple[str, ...]]]:
        observer = WorkspaceObserver(tracked.tracker, make_watcher(), nothing)
        files = FileEditor(workspace=tracked.ws, on_change=observer.edited, changing=observer.editing)
        refused = None
        try:
            await edit(files)
        except ToolError as error:
            refused = str(error)
        await anyio.to_thread.run_sync(bash, script, tracked.ws)
        found = await tracked.tracker.scan(call_id="c1")
        tracked.events += found
        return refused, brief(found, tracked.ws)

    return anyio.run(main)


def refused_edit(files: FileEditor) -> Awaitable[str]:
    return files.replace("f", "no such text", "x", call_id="t1")


def same_text(files: FileEditor) -> Awaitable[str]:
    return files.write("f", "1\n2\n3\n", call_id="t1")


def link_removed(files: FileEditor) -> Awaitable[str]:
    return files.delete("link", call_id="t1")


@pytest.mark.parametrize("edit", [refused_edit, same_text, link_removed])
def test_later_changes_of_an_unedited_file_belong_to_the_shell(tracked: TrackedWorkspace, edit: Edit) -> None:
    tracked.sh("seq 3 > f; ln -s f link")
    tracked.begin()
    refused, found = seen(tracked, edit, "echo x >> f")
    assert (refused is None) == (edit is not refused_edit)
    assert found == [("modify", "f")]
    tracked.check()


def test_an_ignored_file_that_an_edit_did_not_change_stays_ignored(tracked: TrackedWorkspace) -> None:
    tracked.sh("seq 3 > f; echo f > .gitignore")
    tracked.begin()
    refused, found = seen(tracked, refused_edit, "echo x >> f")
    assert refused and found == []
    assert tracked.finish() == [] and tracked.tracker.net().files == ()
