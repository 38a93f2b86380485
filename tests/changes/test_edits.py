"""The real edit engine beside the shell: whose a change is, whatever became of the edit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from agent_runtime.dev_servers.watcher import DevServerWatcher
from agent_runtime.engine.workspace_observer import WorkspaceObserver
from agent_runtime.errors import ToolError
from agent_runtime.files.editor import FileEditor
from agent_runtime.protocol import events
from tests.changes.lab import Lab, bash, brief

Edit = Callable[[FileEditor], Awaitable[str]]


def seen(lab: Lab, edit: Edit, script: str) -> tuple[str | None, list[tuple[str, ...]]]:
    """An edit, then a shell call: what the edit was refused with, and the events of the call."""

    async def nothing(event: events.Event) -> None:
        assert isinstance(event, events.FileEditEvent)
        lab.events.append(event)

    async def main() -> tuple[str | None, list[tuple[str, ...]]]:
        eyes = WorkspaceObserver(lab.tracker, DevServerWatcher(template=None, sandbox_id=None), nothing)
        files = FileEditor(workspace=lab.ws, on_change=eyes.edited, changing=eyes.editing)
        refused = None
        try:
            await edit(files)
        except ToolError as error:
            refused = str(error)
        await anyio.to_thread.run_sync(bash, script, lab.ws)
        found = await lab.tracker.scan(call_id="c1")
        lab.events += found
        return refused, brief(found, lab.ws)

    return anyio.run(main)


def refused_edit(files: FileEditor) -> Awaitable[str]:
    return files.replace("f", "no such text", "x", call_id="t1")


def same_text(files: FileEditor) -> Awaitable[str]:
    return files.write("f", "1\n2\n3\n", call_id="t1")


def link_removed(files: FileEditor) -> Awaitable[str]:
    return files.delete("link", call_id="t1")


@pytest.mark.parametrize("edit", [refused_edit, same_text, link_removed])
def test_after_an_edit_that_left_a_file_alone_its_changes_are_the_shells(lab: Lab, edit: Edit) -> None:
    lab.sh("seq 3 > f; ln -s f link")
    lab.begin()
    refused, found = seen(lab, edit, "echo x >> f")
    assert (refused is None) == (edit is not refused_edit)
    assert found == [("modify", "f")]
    lab.check()


def test_an_ignored_file_that_an_edit_left_alone_stays_ignored(lab: Lab) -> None:
    lab.sh("seq 3 > f; echo f > .gitignore")
    lab.begin()
    refused, found = seen(lab, refused_edit, "echo x >> f")
    assert refused and found == []
    assert lab.finish() == [] and lab.tracker.net().files == ()
