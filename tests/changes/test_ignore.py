"""Ignored places cost nothing and are summed up; the rules are git's own, held against `git check-ignore`."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from agent_runtime.changes.scope import Scope
from agent_runtime.changes.tracker import ChangeTracker
from agent_runtime.git.repository import discover
from tests.changes.workspace import TrackedWorkspace, bash, brief

NAMES = [
    "a",
    "b",
    "foo",
    "foo.o",
    "bar.txt",
    "build",
    "x y",
    "Foo",
    "[z]",
    "#c",
    "!d",
    "a.b.c",
    "\\e",
    "\u00fc",
    "sp ",
]
PATTERNS = [
    *[
        "*.o",
        "foo",
        "/foo",
        "foo/",
        "build/",
        "!foo",
        "!*.o",
        "a/b",
        "/a/*",
        "a/**",
        "**/b",
        "**/a/foo",
        "a/**/b",
        "*",
        "!*/",
        "b*",
        "?",
        "[a-c]",
        "[!a]",
    ],
    *[
        "[[:upper:]]*",
        "\\#c",
        "#c",
        "\\!d",
        "*.b.*",
        "foo\\",
        "[",
        "[z",
        "\\[z\\]",
        "**",
        "a**b",
        "/**/foo",
        "foo/**",
        "!/a/foo",
        "/",
        "//",
    ],
    *["[]-]", "[a\\]]", "fo[^/]", "ü"],
    *("x y", "x\\ y", "sp ", "sp\\ ", "*.txt\r"),
]


@pytest.mark.parametrize("seed", range(20))
def test_the_same_files_are_ignored_as_by_git(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    home = tmp_path / "home"
    (home / ".config/git").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    root = tmp_path / "ws"
    bash(f"git init -q {root}", tmp_path)
    paths: set[str] = set()
    for _ in range(60):
        path = "/".join(rng.choices(NAMES, k=rng.randrange(1, 4)))
        full = root / path
        try:
            full.parent.mkdir(parents=True, exist_ok=True)
            if not full.exists():
                full.write_text("")
            paths.add(path)
        except OSError:
            continue
    folders = [root, *(path for path in root.rglob("*") if path.is_dir() and ".git" not in path.parts)]
    for folder in rng.sample(folders, min(3, len(folders))):
        (folder / ".gitignore").write_text(
            "\n".join(rng.choices(PATTERNS, k=rng.randrange(1, 5))), newline=""
        )
    (root / ".git/info/exclude").write_text("\n".join(rng.choices(PATTERNS, k=rng.randrange(2))))
    (home / ".config/git/ignore").write_text("\n".join(rng.choices(PATTERNS, k=rng.randrange(2))))
    scope = Scope(os.fsencode(root), discover(os.fsencode(root)))
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "check-ignore", "-z", "--stdin"]
    given = "\0".join(sorted(paths)).encode()
    asked = subprocess.run(command, input=given, cwd=root, env=env, capture_output=True, check=False)
    theirs = {os.fsdecode(path) for path in asked.stdout.split(b"\0") if path}
    assert {path for path in paths if left_out(scope, root, path)} == theirs


def left_out(scope: Scope, root: Path, path: str) -> bool:
    folder = b""
    for part in os.fsencode(path).split(b"/"):
        full = folder + b"/" + part if folder else part
        if scope.ignores(folder, part, (root / os.fsdecode(full)).is_dir()):
            return True
        folder = full
    return False


@pytest.mark.parametrize("git", [False, True], ids=["bare", "git"])
def test_changes_in_ignored_folders_are_summarized(tracked: TrackedWorkspace, git: bool) -> None:
    tracked.sh(
        "mkdir -p dist src/__pycache__ .venv/lib; printf 'dist/\\n*.log\\n!keep.log\\n' > .gitignore; "
        "seq 3 > dist/a; seq 3 > src/f"
    )
    if git:
        tracked.sh("git init -q && git add -A && git commit -qm one")
    tracked.begin()
    tracked.run(
        "mkdir -p node_modules/x; touch node_modules/x/{1,2,3}; touch node_modules/y; "
        "seq 9 > dist/b; seq 4 > dist/a"
    )
    tracked.run("echo x > src/a.log; echo y > keep.log; echo z > .venv/lib/q; echo p > src/__pycache__/f.pyc")
    tracked.run("echo z > src/f; mkdir -p target/debug; touch target/CACHEDIR.TAG; echo x > target/debug/out")
    assert brief(tracked.events, tracked.ws) == [("create", "keep.log"), ("modify", "src/f")]
    tracked.finish()
    net = tracked.tracker.net()
    assert net.files == tracked.texts([b"keep.log", b"src/f"])
    assert net.ignored == {"atLeast": 8, "folders": {"dist": 2, "node_modules": 2, "src": 2, "target": 2}}


def test_track_ignored_reports_files_in_ignored_folders(tmp_path: Path) -> None:
    tracked = TrackedWorkspace(tmp_path, track_ignored=True)
    tracked.sh(
        "echo dist > .gitignore; mkdir dist; seq 3 > dist/a; git init -q; git add -A; git commit -qm one"
    )
    tracked.begin()
    tracked.run(
        "seq 4 > dist/a; mkdir -p node_modules/x; echo 1 > node_modules/x/y; git add -A; git commit -qm two"
    )
    assert brief(tracked.events, tracked.ws) == [("modify", "dist/a"), ("create", "node_modules/x/y")]
    tracked.finish()
    assert tracked.tracker.net().ignored is None


def test_tracked_files_in_ignored_folders_are_reported(tracked: TrackedWorkspace) -> None:
    tracked.sh(
        "mkdir -p dist/deep target; seq 3 > dist/deep/in; seq 3 > dist/out; seq 3 > target/t; "
        "echo dist > .gitignore"
    )
    tracked.sh("git init -q; git add -A; git add -f dist/deep/in; git commit -qm one")
    tracked.begin()
    tracked.run("seq 4 > dist/deep/in; seq 4 > dist/out; seq 4 > dist/deep/other; seq 4 > target/new")
    assert brief(tracked.events, tracked.ws) == [("modify", "dist/deep/in"), ("create", "target/new")]
    tracked.run("rm -r dist")
    tracked.run("mkdir -p dist/deep; seq 5 > dist/deep/in; seq 5 > dist/deep/other")
    assert brief(tracked.events[2:], tracked.ws) == [("delete", "dist/deep/in"), ("create", "dist/deep/in")]
    tracked.check((b".git", b"out", b"other"))


def test_ignore_rules_apply_to_names_created_after_the_rule(tracked: TrackedWorkspace) -> None:
    tracked.sh("echo '*.o' > .gitignore; echo 1 > old.log; echo 1 > old.o; mkdir logs; echo 1 > logs/a")
    tracked.begin()
    tracked.run(
        "printf '*.log\\nlogs\\n' > .gitignore; echo 2 > old.log; "
        "echo 2 > new.log; echo 2 > new.o; echo 2 > logs/a"
    )
    assert brief(tracked.events, tracked.ws) == [
        ("modify", ".gitignore"), ("modify", "logs/a"), ("modify", "old.log"), ("create", "new.o"),
    ]  # fmt: skip
    tracked.check((b"new.log", b"old.o"))


def test_the_runtimes_own_files_are_not_tracked(tracked: TrackedWorkspace) -> None:
    state = tracked.ws / ".state"
    state.mkdir()
    tracked.keep_start()
    tracked.tracker = ChangeTracker(
        tracked.ws, diff_dir=state / "run" / "diffs", exclude=[state, tracked.ws / "record.ndjson"]
    )
    tracked.tracker.begin()
    tracked.run(
        "mkdir .state/more; echo x > .state/more/y; echo x > record.ndjson; "
        "echo x > .agent-runtime-0123456789abcdef; echo x > f"
    )
    tracked.run("seq 100000 > long")
    tracked.finish()
    assert brief(tracked.events, tracked.ws) == [("create", "f"), ("create", "long")]
    assert tracked.tracker.net().ignored is None
