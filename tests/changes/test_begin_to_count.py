"""What git does not ignore is reported, whatever its name is and whenever git begins to track it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.changes.workspace import TrackedWorkspace, bash, brief

GIT_INIT = "git init -q -b main"
COMMIT = "git add -A && git commit -qm one"


@pytest.mark.parametrize(
    ("before", "script", "reported"),
    [
        ("", "mkdir -p src/target; echo 1 > src/target/t.py", [("create", "src/target/t.py")]),
        (
            "",
            "mkdir venv; echo 1 > venv/notes; mkdir .cache; echo 1 > .cache/c",
            [("create", ".cache/c"), ("create", "venv/notes")],
        ),
        (
            "",
            "python3 -m venv --without-pip venv; mkdir target; echo 1 > Cargo.toml; echo 1 > target/x",
            [("create", "Cargo.toml")],
        ),
        (
            "printf '.yarn/*\\n!.yarn/patches\\n' > .gitignore",
            "mkdir -p .yarn/patches .yarn/cache; echo 1 > .yarn/patches/x.patch; echo 1 > .yarn/cache/zip",
            [("create", ".yarn/patches/x.patch")],
        ),
        (
            "printf '/node_modules/*\\n!/node_modules/own/\\n' > .gitignore",
            "mkdir -p node_modules/own node_modules/far; echo 1 > node_modules/own/a; echo 1 > node_modules/far/a",
            [("create", "node_modules/own/a")],
        ),
        ("", "mkdir .tox; echo 1 > .tox/kept; git add -A; git commit -qm tox", [("create", ".tox/kept")]),
        (
            "echo '*.log' > .gitignore; seq 9 > old.log",
            "git add -f old.log; echo 1 >> old.log",
            [("modify", "old.log")],
        ),
        (
            "echo '*.log' > .gitignore",
            "seq 3 > x.log; seq 3 > y.log; git add -f x.log",
            [("create", "x.log")],
        ),
        (
            "echo dist/ > .gitignore; mkdir dist; seq 5 > dist/old",
            ": > .gitignore; seq 3 > dist/w.js",
            [("modify", ".gitignore"), ("create", "dist/w.js")],
        ),
        (
            "echo dist/ > .git/info/exclude; mkdir dist; seq 5 > dist/old",
            ": > .git/info/exclude; seq 3 > dist/w.js",
            [("create", "dist/w.js")],
        ),
        (
            "echo site/ > .gitignore; git add -A; git commit -qm rule; git checkout -qb pages; mkdir site; "
            "seq 3 > site/i; git add -f site; "
            "git commit -qm site; git checkout -q main; mkdir -p site; seq 5 > site/local",
            "git checkout -q pages",
            [("create", "site/i")],
        ),
        ("git config core.ignorecase true; echo Build/ > .gitignore", "mkdir build; seq 3 > build/o.o", []),
        (
            "git config core.ignorecase false; echo Build/ > .gitignore",
            "mkdir build; seq 3 > build/o.o",
            [("create", "build/o.o")],
        ),
        (
            "git config core.ignorecase true; echo '[[:upper:]]X*' > .gitignore",
            "seq 3 > axb; seq 3 > 1xb",
            [("create", "1xb")],
        ),
        (
            "git config core.excludesFile ../mine; ln -s there ../mine; echo '*.m' > ../there",
            "seq 3 > a.m; seq 3 > b",
            [("create", "b")],
        ),
        (
            "git config core.excludesFile ''; echo '*.m' > .git/info/exclude",
            "seq 3 > a.m; seq 3 > b",
            [("create", "b")],
        ),
        ("", "echo 1 > .agent-runtime-config.json", [("create", ".agent-runtime-config.json")]),
        (
            "echo '*.log' > .gitignore; seq 3 > a.log; seq 3 > b.log; git add -f a.log; git update-index --split-index",
            "echo 4 >> a.log; echo 4 >> b.log",
            [("modify", "a.log")],
        ),
    ],
)
@pytest.mark.usefixtures("detection")
def test_files_newly_tracked_or_no_longer_ignored_are_reported(
    tracked: TrackedWorkspace,
    before: str,
    script: str,
    reported: list[tuple[str, ...]],
) -> None:
    tracked.sh(f"{GIT_INIT}; seq 3 > f; {COMMIT}\n{before}\ngit add -A; git commit -qm two --allow-empty")
    tracked.begin()
    known = [event for event in reported if event[1] != "old.log"]
    assert [event for event in brief(tracked.run(script), tracked.ws) if event[1] != "old.log"] == known
    assert brief(tracked.finish(), tracked.ws) == []
    assert tracked.tracker.net().files == tracked.texts(event[1].encode() for event in reported)
    assert tracked.tracker.notices() == []


def test_a_file_that_was_ignored_and_is_tracked_from_now_on(tracked: TrackedWorkspace) -> None:
    tracked.sh(f"{GIT_INIT}; echo '*.log' > .gitignore; seq 3 > a.log; seq 3 > b.log; {COMMIT}")
    tracked.begin()
    assert brief(tracked.run("git add -f a.log"), tracked.ws) == []
    assert brief(tracked.run("echo x >> a.log; echo x >> b.log"), tracked.ws) == [("modify", "a.log")]
    tracked.check((b".git", b"b.log"))


@pytest.mark.parametrize("kind", ["nested", "submodule", "bare"])
def test_ignored_files_that_another_repository_tracks(tmp_path: Path, kind: str) -> None:
    tracked = TrackedWorkspace(tmp_path / "t", keep_git=False)
    make = "echo '*.log' > .gitignore; seq 3 > k.log; seq 3 > other.log; git add -A; git add -f k.log; git commit -qm n"
    if kind == "nested":
        tracked.sh(f"{GIT_INIT}; mkdir app; cd app; {GIT_INIT}; {make}")
    elif kind == "submodule":
        bash(f"mkdir lib; cd lib; {GIT_INIT}; {make}", tmp_path)
        tracked.sh(f"{GIT_INIT}; git -c protocol.file.allow=always submodule --quiet add {tmp_path}/lib app")
        tracked.sh("seq 3 > app/other.log")
    else:
        bash(f"mkdir lib; cd lib; {GIT_INIT}; {make}", tmp_path)
        tracked.sh(
            f"git clone -q --bare {tmp_path}/lib .bare; git -C .bare worktree add -q ../app main; seq 3 > app/other.log"
        )
        tracked.sh("echo 'gitdir: ./.bare' > .git")
    tracked.begin()
    tracked.run("echo more >> app/k.log; echo more >> app/other.log; echo new > app/new.log; echo x > app/y")
    assert brief(tracked.events, tracked.ws) == [("modify", "app/k.log"), ("create", "app/y")]
    tracked.run("cd app; git add -f new.log; git commit -qm new")
    assert brief(tracked.events[2:], tracked.ws) == [("create", "app/new.log")]


@pytest.mark.parametrize(
    ("end", "change", "reported"),
    [
        (": > .gitignore", "echo 1 >> dist/w", [("modify", "dist/w")]),
        (": > .gitignore", "sed -i s/1/x/ dist/in/w", [("modify", "dist/in/w")]),
        (
            ": > .gitignore",
            "seq 4 > dist/new; mv dist/in/w dist/w",
            [("modify", "dist/w"), ("create", "dist/new")],
        ),
        ("git add -f dist/in/w", "sed -i s/1/x/ dist/in/w dist/w", [("modify", "dist/in/w")]),
        ("git rm -q --cached .gitignore; rm .gitignore", "rm dist/w; seq 7 > dist/w", [("modify", "dist/w")]),
    ],
)
@pytest.mark.usefixtures("detection")
def test_a_file_of_an_ignored_folder_that_changed_before_it_began_to_count(
    tracked: TrackedWorkspace,
    end: str,
    change: str,
    reported: list[tuple[str, ...]],
) -> None:
    tracked.sh(
        f"{GIT_INIT}; echo dist/ > .gitignore; mkdir -p dist/in; seq 3 | tee dist/w > dist/in/w; {COMMIT}"
    )
    tracked.begin()
    assert tracked.run(change) == []
    found = [event for event in tracked.run(end) if not event.path.endswith(".gitignore")]
    assert sorted(brief(found, tracked.ws)) == sorted(reported)
    assert [event.diff for event in found if event.action == "modify"] == [""]


WORKTREES = "git --git-dir=.bare worktree add -q main $(git --git-dir=.bare commit-tree -m x $TREE)"


@pytest.mark.parametrize(
    ("before", "reported"),
    [
        (f"echo 'gitdir: .bare' > .git; {WORKTREES}", [("create", "main/a")]),
        (f'echo "gitdir: $PWD/.bare/" > .git; {WORKTREES}', [("create", "main/a")]),
        (WORKTREES, [("create", "main/a")]),
        ("mkdir main; cd main; git init -q", [("create", ".bare/refs/heads/n"), ("create", "main/a")]),
    ],
    ids=["gitfile", "absolute gitfile", "worktrees", "unrelated"],
)
def test_the_directory_of_a_repository_under_another_name(
    tracked: TrackedWorkspace, before: str, reported: list[tuple[str, ...]]
) -> None:
    tree = "TREE=$(git --git-dir=.bare hash-object -t tree -w /dev/null)"
    tracked.sh(f"git init -q --bare .bare; {tree}; {before}")
    tracked.begin()
    found = tracked.run("echo 1 > main/a; seq 1 > .bare/refs/heads/n")
    assert sorted(brief(found, tracked.ws)) == reported
