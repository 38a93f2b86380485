"""One file under several names: by hard links, which all change with one write, and through linked folders."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.changes.lab import Lab, brief


@pytest.mark.parametrize("looks", ["inotify", "walks"])
def test_a_write_through_another_name_is_the_calls(lab: Lab, looks: str, blind: Callable[[], None]) -> None:
    lab.sh("mkdir d; seq 9 > f; ln f d/g; seq 5 > lone; chmod +x lone")
    if looks == "walks":
        blind()
    lab.begin()
    assert brief(lab.run("echo x >> d/g"), lab.ws) == [("modify", "d/g"), ("modify", "f")]
    assert brief(lab.run("ln lone new; echo y >> new"), lab.ws) == [("modify", "lone"), ("create", "new")]
    assert brief(lab.run("chmod -x new"), lab.ws) == [("modify", "lone"), ("modify", "new")]
    assert brief(lab.run("rm f; echo z > lone2; ln d/g f"), lab.ws) == [("create", "lone2")]
    assert brief(lab.finish(), lab.ws) == []
    lab.check()


def test_a_tools_write_through_another_name(lab: Lab) -> None:
    lab.sh("seq 9 > f; ln f g")
    lab.begin()
    with (lab.ws / "f").open("a") as file:
        file.write("more\n")
    found = lab.note(lab.ws / "f", call_id="t1")
    assert [(event.path.rpartition("/")[2], event.source, event.tool_call_id) for event in found] == [
        ("f", "tool", "t1"),
        ("g", "tool", "t1"),
    ]
    assert lab.finish() == []
    lab.check()


@pytest.mark.parametrize("looks", ["inotify", "walks"])
def test_a_folder_that_gives_way_to_a_link_takes_its_files_with_it(
    lab: Lab, looks: str, blind: Callable[[], None]
) -> None:
    lab.sh("mkdir -p d/deep e; seq 9 > d/r; seq 5 > d/deep/s; cp -r d/. e")
    if looks == "walks":
        blind()
    lab.begin()
    assert brief(lab.run("rm -r d; ln -s e d"), lab.ws) == [
        ("delete", "d/deep/s"),
        ("delete", "d/r"),
        ("create", "d"),
    ]
    assert brief(lab.run("echo x >> d/r"), lab.ws) == [("modify", "e/r")]
    assert brief(lab.run("rm d; cp -r e d"), lab.ws) == [
        ("delete", "d"),
        ("create", "d/deep/s"),
        ("create", "d/r"),
    ]
    lab.check()
