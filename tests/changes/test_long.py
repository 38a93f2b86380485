"""What is too large to be held, and what no patch tells: the patches that follow still apply."""

from __future__ import annotations

import pytest

from agent_runtime.changes import contents
from tests.changes.lab import Lab, brief


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "KEEP_LIMIT", 1000)


@pytest.mark.parametrize("git", [False, True], ids=["bare", "git"])
def test_long_text_has_its_patch(lab: Lab, git: bool) -> None:
    lab.keep_git = False
    lab.sh("seq 2000 > old; seq 2500 > other; ln -s nowhere link; seq 9 > short")
    if git:
        lab.sh(
            "git init -q && git add -A && git commit -qm one; find . -name .git -prune -o -exec touch -hd "
            "'1 hour ago' {} + && git update-index -q --refresh"
        )
    lab.begin()
    (old, new) = lab.run("seq 3000 > new; sed -i 2d old")
    assert [(e.truncated, bool(e.diff_file), e.binary, e.diff) for e in (old, new)] == [
        (True, True, None, "")
    ] * 2
    assert brief(lab.run("mv new new2; echo x >> old; chmod +x other"), lab.ws) == [
        ("rename", "new2", "new"),
        ("modify", "old"),
        ("modify", "other"),
    ]
    lab.run("seq 3 > old; seq 4000 > short; rm link; seq 5000 > link")
    lab.run("mv short new; rm new2; ln -sf x link; rm other")
    lab.check()


def test_what_no_patch_made_no_patch_takes_apart(lab: Lab) -> None:
    lab.sh("head -c 5000 /dev/urandom > there; head -c 5000 /dev/urandom > moved")
    lab.begin()
    lab.run("head -c 5000 /dev/urandom | tee a b c > d; printf x >> there; mv moved m2; printf x >> m2")
    assert [event.path for event in lab.events if not event.diff_file] == [
        f"{lab.ws}/{name}" for name in ("there", "a", "b", "c", "d", "m2")
    ]
    lab.run("rm a; seq 3 > b; mv c e; printf y >> d; printf y >> there")
    lab.run("rm -f a c d e; seq 4 > there; seq 5 > m2")
    lab.check()


def test_a_patch_that_could_not_be_written(lab: Lab) -> None:
    lab.sh("seq 9 > f")
    (lab.folder / "state").write_text("no folder")
    lab.begin()
    (f, long) = lab.run("seq 200000 > long; seq 300000 > f")
    assert (f.truncated, f.diff_file, long.truncated, long.diff_file) == (True, None, True, None)
    (lab.folder / "state").unlink()
    (f, long) = lab.run("seq 3 > long; seq 8 > f")
    assert (f.binary, long.additions) == (None, 3)
    lab.check()
