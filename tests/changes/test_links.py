"""One file under several names: a write through one of them changes them all, in the same call."""

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
