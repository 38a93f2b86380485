"""A look after a call that changed nothing takes no thread, and one after anything else is a whole look."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent_runtime.changes.ledger_thread import LedgerThread
from tests.changes.workspace import TrackedWorkspace, brief

_SETUP = "git init -q; mkdir sub; seq 9 > sub/f; echo '*.log' > .git/info/exclude; seq 3 > x.log; git add sub"


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each look in a thread."""
    found: list[int] = []
    locked = LedgerThread._locked

    def counted(*arguments: object) -> None:
        found.append(len(found))
        locked(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(LedgerThread, "_locked", counted)
    return found


def test_nothing_has_changed(tracked: TrackedWorkspace, looks: list[int]) -> None:
    tracked.sh(_SETUP)
    tracked.begin()
    assert tracked.scan() == []
    looks.clear()
    assert tracked.run("cat sub/f; ls -la") == []
    assert looks == []


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo x >> sub/f", [("modify", "sub/f")]),
        ("touch sub/f; rm sub/f; seq 9 > sub/f", []),
        ("mkdir -p new/er; echo x > new/er/f", [("create", "new/er/f")]),
        ("rm -r sub", [("delete", "sub/f")]),
        ("git add -f x.log", []),
        (": > .git/info/exclude", []),
        ("chmod +x sub/f", [("modify", "sub/f")]),
    ],
)
def test_something_has_changed(
    tracked: TrackedWorkspace, looks: list[int], script: str, found: list[tuple[str, str]]
) -> None:
    tracked.sh(_SETUP)
    tracked.begin()
    assert tracked.scan() == []
    looks.clear()
    assert brief(tracked.run(script), tracked.ws) == found
    assert looks
    looks.clear()
    tracked.scan()
    assert tracked.scan() == []
    assert len(looks) <= 1


def test_what_the_edit_tools_wrote_outside_is_looked_at(tracked: TrackedWorkspace, looks: list[int]) -> None:
    outside = tracked.folder / "outside"
    tracked.begin()
    tracked.expect(outside)
    outside.write_text("1\n")
    tracked.note(outside)
    looks.clear()
    outside.write_text("2\n")
    assert [event.action for event in tracked.scan()] == ["modify"]
    assert looks


def test_without_inotify_every_look_is_whole(
    tracked: TrackedWorkspace, looks: list[int], blind: Callable[[], None]
) -> None:
    blind()
    tracked.begin()
    assert tracked.scan() == []
    looks.clear()
    assert tracked.scan() == []
    assert looks
