"""Baselines from a repository: nothing is written to it, nothing it names is run, what it has is right."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent_runtime.changes.entries import IN_GIT, unpack
from tests.changes.workspace import TrackedWorkspace, bash, brief, snapshot

COMMIT = "git init -q -b main && git add -A && git commit -qm one"
OLDER = "find . -name .git -prune -o -exec touch -hd '1 hour ago' {} + && git update-index -q --refresh"


def in_git(tracked: TrackedWorkspace) -> set[str]:
    found = set()
    assert tracked.tracker.files
    for folder, _, name, packed in tracked.tracker.files.tree.entries():
        if unpack(packed).offset == IN_GIT:
            found.add(f"{folder.decode()}/{name.decode()}".lstrip("/"))
    return found


def test_clean_files_are_left_to_git_and_nothing_is_written(tracked: TrackedWorkspace) -> None:
    tracked.sh("mkdir d; seq 9 > d/clean; seq 9 > dirty; seq 9 > staged; echo '*.log' > .gitignore")
    tracked.sh(
        f"{COMMIT}; {OLDER}; echo x >> dirty; echo y >> staged; git add staged; "
        "seq 5 > untracked; echo l > a.log"
    )
    before = snapshot(tracked.ws / ".git", ())
    times = {path: path.stat().st_mtime_ns for path in (tracked.ws / ".git").rglob("*")}
    tracked.begin()
    assert in_git(tracked) == {"d/clean", ".gitignore", "staged"}
    tracked.run("for f in d/clean dirty staged untracked; do echo more >> $f; done; echo more >> a.log")
    tracked.finish()
    assert snapshot(tracked.ws / ".git", ()) == before
    assert {path: path.stat().st_mtime_ns for path in (tracked.ws / ".git").rglob("*")} == times
    assert len(tracked.events) == 4
    tracked.check((b".git", b"a.log"))


def test_nothing_the_repository_names_is_run(tracked: TrackedWorkspace) -> None:
    trap = tracked.folder / "trap"
    tracked.sh(f"seq 9 > f; echo 'f filter=evil diff=evil' > .gitattributes; {COMMIT}; {OLDER}")
    filters = "filter.evil.clean filter.evil.smudge filter.evil.process diff.evil.textconv diff.external"
    others = "core.fsmonitor core.pager core.hooksPath core.sshCommand alias.cat-file"
    for setting in f"{filters} {others}".split():
        bash(f"git config {setting} 'touch {trap}; cat'", tracked.ws)
    tracked.begin()
    tracked.run("echo x >> f")
    assert tracked.finish() == [] and not trap.exists()
    (event,) = tracked.events
    assert (event.additions, event.deletions) == (1, 0)


@pytest.mark.parametrize(
    "config",
    [
        "git config core.autocrlf true",
        "echo '* text eol=crlf' > .gitattributes",
        "echo '*.txt text=auto' > .gitattributes",
        "echo '* eol=crlf' > .git/info/attributes",
        "git config filter.rot.clean 'tr a-z b-za'; git config filter.rot.smudge 'tr b-za a-z'; "
        "echo '*.txt filter=rot' > .gitattributes",
        "printf 'a\\0b\\0' > u16.txt; echo 'u16.txt working-tree-encoding=UTF-16LE' > .gitattributes",
    ],
)
def test_files_that_differ_from_their_blobs_have_correct_diffs(
    tracked: TrackedWorkspace, config: str
) -> None:
    tracked.keep_git = False
    tracked.sh(
        "printf 'a\\r\\nb $Id$\\r\\n' > crlf.txt; printf 'abc\\nb $Id$\\n' > lf.txt; git init -q; "
        f"{config}; git add -A; git commit -qm x"
    )
    tracked.sh(f"rm *.txt; git checkout -q -- .; {OLDER}")
    tracked.begin()
    tracked.run("printf 'more\\n' >> lf.txt; printf 'more\\r\\n' >> crlf.txt")
    tracked.check()


def test_switching_branches_stashing_and_deleting_the_repository_are_tracked(
    tracked: TrackedWorkspace,
) -> None:
    tracked.keep_git = False
    tracked.sh(
        f"mkdir d; for i in 1 2 3; do seq $i 30 > d/f$i; done; ln -s d link; {COMMIT}; git checkout -qb side"
    )
    tracked.sh(
        "git mv d/f1 d/g1; seq 50 > d/f2; "
        "git rm -q link; seq 3 > new; "
        "git add -A; git commit -qm two; git checkout -q main"
    )
    tracked.sh(OLDER)
    tracked.begin()
    assert brief(tracked.run("git checkout -q side"), tracked.ws) == [
        ("delete", "link"), ("rename", "d/g1", "d/f1"), ("modify", "d/f2"), ("create", "new"),
    ]  # fmt: skip
    tracked.run("echo x >> d/f3; git stash -q")
    assert tracked.events[4:] == []
    assert brief(tracked.run("git stash pop -q"), tracked.ws) == [("modify", "d/f3")]
    assert brief(tracked.run("git checkout -q -f main"), tracked.ws)[-1] == ("create", "link")
    tracked.run("git reflog expire --expire=now --all; git branch -qD side; git gc -q --prune=now")
    tracked.run("echo y >> d/f1")
    tracked.run("rm -rf .git; echo gone >> d/f2; rm d/f3; mv link link2")
    tracked.check()


def test_a_workspace_below_the_repository_root_is_tracked(tmp_path: Path) -> None:
    tracked = TrackedWorkspace(tmp_path / "repo" / "packages", keep_git=False)
    bash("mkdir -p other; seq 3 > other/x; printf 'dist/\\n/packages/ws/local\\n' > .gitignore; "
         "git init -q; git add -A",
         tmp_path / "repo")  # fmt: skip
    tracked.sh(
        "mkdir src dist; seq 9 > src/f; seq 9 > dist/out; seq 3 > local; seq 9 > seen; "
        "git add -A; git commit -qm one"
    )
    tracked.sh(OLDER)
    tracked.begin()
    assert in_git(tracked) == {"src/f", "seen"}
    tracked.run(
        "echo x >> src/f; echo x >> dist/out; echo x > local; echo x >> ../../other/x; echo x > src/new"
    )
    assert brief(tracked.events, tracked.ws) == [("modify", "src/f"), ("create", "src/new")]
    assert "--- a/src/f\n" in tracked.events[0].diff


@pytest.mark.parametrize(
    "index", ["--index-version 4", "--split-index", "--untracked-cache", "--index-version 2"]
)
def test_every_index_format_is_read(tracked: TrackedWorkspace, index: str) -> None:
    tracked.sh(
        f"mkdir -p a/b; for i in $(seq 30); do seq $i 40 > a/b/file-$i; done; "
        f"{COMMIT}; git update-index {index}; {OLDER}"
    )
    tracked.begin()
    assert "split" in index or len(in_git(tracked)) == 30
    tracked.run("sed -i 3d a/b/*1; rm a/b/*2; mv a/b/file-13 a/x")
    tracked.check()


def test_worktrees_submodules_and_nested_repositories(tmp_path: Path) -> None:
    bash(f"mkdir main lib; cd lib; seq 9 > l; {COMMIT}; cd ../main; seq 9 > f; {COMMIT};"
         "git -c protocol.file.allow=always submodule --quiet add ../lib sub; "
         "git commit -qm sub", tmp_path)  # fmt: skip
    tracked = TrackedWorkspace(tmp_path / "tracked", keep_git=False)
    tracked.ws.rmdir()
    bash(f"git worktree add -q {tracked.ws} -b wt", tmp_path / "main")
    tracked.sh(
        "git -c protocol.file.allow=always submodule --quiet update --init; "
        "mkdir nested; cd nested; git init -q; seq 5 > n"
    )
    tracked.sh("cd nested; echo '*.o' > .gitignore; echo x > a.o; git add -A; git commit -qm n")
    tracked.begin()
    tracked.run(
        "echo x >> f; echo x >> sub/l; echo x >> nested/n; echo y > nested/a.o; "
        "cd nested; git commit -qam more"
    )
    assert brief(tracked.events, tracked.ws) == [("modify", "f"), ("modify", "nested/n"), ("modify", "sub/l")]
    tracked.check((b".git", b"a.o"))


@pytest.mark.parametrize(
    "make",
    [
        "git init -q --bare .",
        "mkdir -p x; git init -q; echo junk > .git/index",
        "echo 'gitdir: /nowhere' > .git",
        "git init -q --object-format=sha256; git add -A; git commit -qm x",
        "git init -q",
    ],
)
def test_unusable_repositories_are_tracked_like_plain_folders(tracked: TrackedWorkspace, make: str) -> None:
    tracked.keep_git = False
    tracked.sh(f"seq 9 > f; {make}")
    tracked.begin()
    tracked.run("echo x >> f; echo new > g")
    assert brief(tracked.events, tracked.ws) == [("modify", "f"), ("create", "g")]
    tracked.check()


def test_names_that_a_sha256_index_holds_and_rules_of_its_repository(tracked: TrackedWorkspace) -> None:
    tracked.keep_git = False
    tracked.sh(
        "mkdir out; seq 9 > out/f; echo out > .gitignore; seq 9 > f; git init -q --object-format=sha256; "
        "echo '*.tmp' > .git/info/exclude; git add -A; git add -f out/f; git commit -qm x; seq 3 > a.tmp"
    )
    tracked.sh(OLDER)
    tracked.begin()
    tracked.run("echo x >> out/f; echo x >> f; echo x >> a.tmp; echo x > out/new; git commit -qam y")
    assert brief(tracked.events, tracked.ws) == [("modify", "f"), ("modify", "out/f")]
    tracked.check((b".git", b"a.tmp", b"new"))


def test_a_repository_of_another_user_is_tracked(tracked: TrackedWorkspace) -> None:
    if os.getuid():
        pytest.skip("only root can give a repository away")
    tracked.sh(
        f"seq 9 > f; {COMMIT}; {OLDER}; chown -R 12345 .; git -c safe.directory='*' update-index -q --refresh"
    )
    tracked.begin()
    assert in_git(tracked) == {"f"}
    (event,) = tracked.run("echo x >> f")
    assert event.additions == 1


def test_changes_are_tracked_without_a_git_binary(
    tracked: TrackedWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked.sh(f"seq 9 > f; {COMMIT}; {OLDER}")
    tracked.keep_start()
    with monkeypatch.context() as context:
        context.setenv("PATH", "/nonexistent")
        tracked.track()
    tracked.run("echo x >> f")
    tracked.check()
