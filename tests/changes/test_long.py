"""Contents too large for memory, and changes without a diff: the diffs that follow still apply."""

from __future__ import annotations

import pytest

from agent_runtime.changes import contents
from tests.changes.workspace import TrackedWorkspace, brief


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "KEEP_LIMIT", 1000)


@pytest.mark.parametrize("git", [False, True], ids=["bare", "git"])
def test_long_text_has_a_diff(tracked: TrackedWorkspace, git: bool) -> None:
    tracked.keep_git = False
    tracked.sh("seq 2000 > old; seq 2500 > other; ln -s nowhere link; seq 9 > short")
    if git:
        tracked.sh(
            "git init -q && git add -A && git commit -qm one; find . -name .git -prune -o -exec touch -hd "
            "'1 hour ago' {} + && git update-index -q --refresh"
        )
    tracked.begin()
    (old, new) = tracked.run("seq 3000 > new; sed -i 2d old")
    assert [(e.truncated, bool(e.diff_file), e.binary, e.diff) for e in (old, new)] == [
        (True, True, None, "")
    ] * 2
    assert brief(tracked.run("mv new new2; echo x >> old; chmod +x other"), tracked.ws) == [
        ("rename", "new2", "new"),
        ("modify", "old"),
        ("modify", "other"),
    ]
    tracked.run("seq 3 > old; seq 4000 > short; rm link; seq 5000 > link")
    tracked.run("mv short new; rm new2; ln -sf x link; rm other")
    tracked.check()


def test_changes_without_a_diff_are_followed_by_diffs_that_apply(tracked: TrackedWorkspace) -> None:
    tracked.sh("head -c 5000 /dev/urandom > there; head -c 5000 /dev/urandom > moved")
    tracked.begin()
    tracked.run("head -c 5000 /dev/urandom | tee a b c > d; printf x >> there; mv moved m2; printf x >> m2")
    assert [event.path for event in tracked.events if not event.diff_file] == [
        f"{tracked.ws}/{name}" for name in ("there", "a", "b", "c", "d", "m2")
    ]
    tracked.run("rm a; seq 3 > b; mv c e; printf y >> d; printf y >> there")
    tracked.run("rm -f a c d e; seq 4 > there; seq 5 > m2")
    tracked.check()


def test_a_failed_write_of_a_diff_is_reported(tracked: TrackedWorkspace) -> None:
    tracked.sh("seq 9 > f")
    (tracked.folder / "state").write_text("no folder")
    tracked.begin()
    (f, long) = tracked.run("seq 200000 > long; seq 300000 > f")
    assert (f.truncated, f.diff_file, long.truncated, long.diff_file) == (True, None, True, None)
    (tracked.folder / "state").unlink()
    (f, long) = tracked.run("seq 3 > long; seq 8 > f")
    assert (f.binary, long.additions) == (None, 3)
    tracked.check()
