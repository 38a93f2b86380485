"""One file under several names: by hard links, which all change with one write, and through linked folders."""

from __future__ import annotations

import pytest

from tests.changes.workspace import TrackedWorkspace, brief


@pytest.mark.usefixtures("detection")
def test_a_write_through_another_hard_link_belongs_to_the_call(tracked: TrackedWorkspace) -> None:
    tracked.sh("mkdir d; seq 9 > f; ln f d/g; seq 5 > lone; chmod +x lone")
    tracked.begin()
    assert brief(tracked.run("echo x >> d/g"), tracked.ws) == [("modify", "d/g"), ("modify", "f")]
    assert brief(tracked.run("ln lone new; echo y >> new"), tracked.ws) == [
        ("modify", "lone"),
        ("create", "new"),
    ]
    assert brief(tracked.run("chmod -x new"), tracked.ws) == [("modify", "lone"), ("modify", "new")]
    assert brief(tracked.run("rm f; echo z > lone2; ln d/g f"), tracked.ws) == [("create", "lone2")]
    assert brief(tracked.finish(), tracked.ws) == []
    tracked.check()


def test_a_tool_write_through_another_hard_link_belongs_to_the_tool(tracked: TrackedWorkspace) -> None:
    tracked.sh("seq 9 > f; ln f g")
    tracked.begin()
    with (tracked.ws / "f").open("a") as file:
        file.write("more\n")
    found = tracked.note(tracked.ws / "f", call_id="t1")
    assert [(event.path.rpartition("/")[2], event.source, event.tool_call_id) for event in found] == [
        ("f", "tool", "t1"),
        ("g", "tool", "t1"),
    ]
    assert tracked.finish() == []
    tracked.check()


@pytest.mark.usefixtures("detection")
def test_a_folder_replaced_by_a_link_deletes_its_files(tracked: TrackedWorkspace) -> None:
    tracked.sh("mkdir -p d/deep e; seq 9 > d/r; seq 5 > d/deep/s; cp -r d/. e")
    tracked.begin()
    assert brief(tracked.run("rm -r d; ln -s e d"), tracked.ws) == [
        ("delete", "d/deep/s"),
        ("delete", "d/r"),
        ("create", "d"),
    ]
    assert brief(tracked.run("echo x >> d/r"), tracked.ws) == [("modify", "e/r")]
    assert brief(tracked.run("rm d; cp -r e d"), tracked.ws) == [
        ("delete", "d"),
        ("create", "d/deep/s"),
        ("create", "d/r"),
    ]
    tracked.check()
