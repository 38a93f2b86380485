"""One test for every kind of change, each as the event reports it and as git applies it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tests.changes.workspace import TrackedWorkspace, brief


@pytest.mark.parametrize(
    ("before", "script", "reported"),
    [
        ("", "echo hi > new.txt", [("create", "new.txt")]),
        ("", "mkdir -p a/b && echo hi > a/b/c", [("create", "a/b/c")]),
        ("seq 20 > f", "sed -i 's/^7$/seven/' f", [("modify", "f")]),
        ("seq 20 > f", "rm f", [("delete", "f")]),
        ("mkdir d && seq 20 > d/f && seq 9 > d/g", "rm -r d", [("delete", "d/f"), ("delete", "d/g")]),
        ("seq 20 > f", "mv f g", [("rename", "g", "f")]),
        ("mkdir d && seq 9 > d/f", "mv d e", [("rename", "e/f", "d/f")]),
        ("seq 200 > f", "mv f g && echo more >> g", [("rename", "g", "f")]),
        ("seq 200 > f", "mkdir d && mv f d/f && sed -i 5d d/f && chmod +x d/f", [("rename", "d/f", "f")]),
        ("seq 20 > f", "cp f g", [("create", "g")]),
        ("seq 5 > a; seq 7 > b", "mv a t && mv b a && mv t b", [("modify", "a"), ("modify", "b")]),
        (
            "seq 5 > a; echo other > b",
            "mv b c && mv a b",
            [("delete", "a"), ("modify", "b"), ("create", "c")],
        ),
        ("echo x > f", "chmod +x f", [("modify", "f")]),
        ("echo x > f; chmod +x f", "chmod 640 f && echo y >> f", [("modify", "f")]),
        ("echo x > f", "chmod 600 f", []),
        ("echo x > f", "mv f g && chmod +x g", [("rename", "g", "f")]),
        ("", "ln -s nowhere link", [("create", "link")]),
        ("ln -s a link", "ln -sfn b link", [("modify", "link")]),
        ("ln -s a link", "rm link && echo file > link", [("modify", "link")]),
        ("echo file > link", "ln -sf a link", [("modify", "link")]),
        ("ln -s a link", "rm link", [("delete", "link")]),
        ("ln -s a link", "mv link link2", [("rename", "link2", "link")]),
        ("mkdir d && echo x > d/f", "rm -r d && ln -s elsewhere d", [("delete", "d/f"), ("create", "d")]),
        ("ln -s elsewhere d", "rm d && mkdir d && echo x > d/f", [("delete", "d"), ("create", "d/f")]),
        ("mkdir d && seq 30 > d/f", "rm -r d && echo x > d", [("delete", "d/f"), ("create", "d")]),
        ("echo x > d", "rm d && mkdir d && seq 30 > d/f", [("delete", "d"), ("create", "d/f")]),
        ("mkdir d && seq 30 > d/f", "mv d/f t && rmdir d && mv t d", [("delete", "d/f"), ("create", "d")]),
        ("seq 30 > d", "mv d t && mkdir d && mv t d/f", [("delete", "d"), ("create", "d/f")]),
        ("printf 'a\\nb' > f", "printf '\\nc' >> f", [("modify", "f")]),
        ("printf 'a\\nb\\n' > f", "printf 'a\\nb' > f", [("modify", "f")]),
        ("printf 'a\\r\\nb\\r\\n' > f", "printf 'c\\r\\n' >> f", [("modify", "f")]),
        ("printf 'a\\r\\nb\\r\\n' > f", "sed -i 's/\\r//' f", [("modify", "f")]),
        ("", "touch empty", [("create", "empty")]),
        ("touch empty", "rm empty", [("delete", "empty")]),
        ("touch empty", "echo x > empty", [("modify", "empty")]),
        ("echo x > f", ": > f", [("modify", "f")]),
        ("touch e1", "mv e1 e2", [("rename", "e2", "e1")]),
        ("", "echo x > 'with space'", [("create", "with space")]),
        ("echo x > ' a '", "mv ' a ' ' b /' 2>/dev/null || mv ' a ' ' b '", [("rename", " b ", " a ")]),
        (
            "mkdir 'a '; echo x > 'a /f'",
            "echo y > 'a /f'; touch 'a /empty'",
            [("modify", "a /f"), ("create", "a /empty")],
        ),
        ("", "echo x > 'quo\"te'; echo x > \"it's\"", [("create", "it's"), ("create", 'quo"te')]),
        ("echo x > $'new\\nline'", "echo y > $'new\\nline'", [("modify", "new\nline")]),
        ("", "echo x > $'tab\\tname'", [("create", "tab\tname")]),
        ("", "echo x > 'b\\slash'", [("create", "b\\slash")]),
        ("", "echo x > $'\\xc3\\xbc.txt'", [("create", "ü.txt")]),
        ("echo x > $'lat\\xe9'", "echo y >> $'lat\\xe9'", [("modify", "lat\ufffd")]),
        ("echo x > f", "touch f; touch -d 2001-01-01 f", []),
        ("seq 9 > f", "seq 9 > t && mv t f", []),
        ("seq 9 > f", "seq 8 > f; seq 9 > f", []),
        ("", "echo x > made; rm made; mkdir d; echo x > d/f; rm -r d", []),
        ("", "mkfifo pipe; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"sock\")'", []),
        ("echo x > f", "rm f; mkfifo f", [("delete", "f")]),
        ("echo x > f", "ln f g", [("create", "g")]),
        ("echo x > f; ln f g", "echo y >> f", [("modify", "f"), ("modify", "g")]),
    ],
)
@pytest.mark.parametrize("git", [False, True], ids=["bare", "git"])
def test_each_kind_of_change_is_reported_and_applies_with_git(
    tracked: TrackedWorkspace, git: bool, before: str, script: str, reported: list[tuple[str, ...]]
) -> None:
    tracked.sh("seq 3 > untouched; mkdir aside; seq 4 > aside/untouched")
    tracked.sh(before)
    if git:
        tracked.sh("git init -q && git add -A && git commit -qm one")
    tracked.begin()
    tracked.sh(script)
    events = tracked.scan() + tracked.finish()
    tracked.check()
    assert brief(events, tracked.ws) == reported


def test_counts_and_headers(tracked: TrackedWorkspace) -> None:
    tracked.sh("seq 10 > f")
    tracked.begin()
    (event,) = tracked.run("sed -i 's/^5$/five/;$a eleven' f; chmod +x f")
    assert event.diff == (
        "diff --git a/f b/f\nold mode 100644\nnew mode 100755\n--- a/f\n+++ b/f\n"
        "@@ -2,9 +2,10 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n 9\n 10\n+eleven\n"
    )
    assert (event.additions, event.deletions, event.source, event.tool_call_id) == (2, 1, "shell", "c1")
    assert (event.binary, event.truncated, event.diff_file, event.outside_workspace) == (None,) * 4


@pytest.mark.usefixtures("detection")
def test_same_size_within_a_tick(tracked: TrackedWorkspace) -> None:
    tracked.sh("echo z > f")
    tracked.begin()
    for text in "abcdefgh":
        with (tracked.ws / "f").open("r+") as file:  # the same inode, size and time of writing
            file.write(text)
        os.utime(tracked.ws / "f", ns=(1_000_000_000, 1_000_000_000))
        (event,) = tracked.scan()
        assert event.diff.endswith(f"\n+{text}\n")
    assert tracked.scan() == []
    tracked.check()


def test_binary_files_are_named_and_rebuilt(tracked: TrackedWorkspace) -> None:
    tracked.sh("head -c 3000 /dev/urandom > old.bin; head -c 3000 /dev/urandom > gone.bin; seq 50 > text")
    tracked.begin()
    tracked.run(
        "head -c 5000 /dev/urandom > new.bin; mv old.bin moved.bin; rm gone.bin; printf 'a\\0b' > text"
    )
    tracked.run("head -c 50 /dev/urandom >> new.bin; mv moved.bin again.bin; seq 9 > text")
    data = (tracked.ws / "new.bin").read_bytes()
    named = [event for event in tracked.events if event.path.endswith("/new.bin")][-1]
    assert (named.binary, named.sha256, named.size) == (True, hashlib.sha256(data).hexdigest(), 5050)
    assert [(brief([e], tracked.ws), e.diff) for e in tracked.events if e.diff or not e.diff_file] == []
    tracked.check()


def test_the_diff_of_text_that_is_not_utf8_is_in_a_file(tracked: TrackedWorkspace) -> None:
    tracked.sh("printf 'caf\\351\\n' > latin")
    tracked.begin()
    (event,) = tracked.run("printf 'th\\351\\n' >> latin")
    assert event.truncated and event.diff_file and "+th\ufffd" in event.diff and not event.binary
    assert b"+th\xe9\n" in Path(event.diff_file).read_bytes()
    tracked.check()


def test_a_long_diff_is_in_a_file(tracked: TrackedWorkspace) -> None:
    tracked.begin()
    (event,) = tracked.run("seq 200000 > long")
    assert event.truncated and event.diff_file and event.additions == 200_000
    assert 0 < len(event.diff) < 20_000 and event.diff.endswith("\n")
    assert len(event.model_dump_json()) < 1 << 20
    (one_line,) = tracked.run("head -c 3000000 /dev/zero | tr '\\0' x > one-line")
    assert one_line.truncated and one_line.diff_file
    tracked.check()


def test_a_run_that_restores_has_no_net_effect(tracked: TrackedWorkspace) -> None:
    tracked.sh("seq 9 > f; seq 8 > g; seq 7 > h")
    tracked.begin()
    tracked.run("echo x >> f; rm g; mv h i")
    assert tracked.tracker.net().files == tracked.texts([b"f", b"i"])
    assert tracked.tracker.net().deleted_files == tracked.texts([b"g", b"h"])
    tracked.run("seq 9 > f; seq 8 > g; mv i h; echo x > made")
    tracked.run("rm made")
    assert tracked.tracker.net().files == tracked.tracker.net().deleted_files == ()
    tracked.check()
