"""Unified diffs: created and deleted files, mails of patches, names and lines that are hard to read."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest

from agent_runtime.errors import ToolError
from agent_runtime.files.patch.parse import parse
from tests.files.editor_fixture import EditorFixture

pytestmark = pytest.mark.anyio


def diff(old: str, new: str, hunk: str) -> str:
    return f"--- {old}\n+++ {new}\n{hunk}"


EPOCHS = [
    "1970-01-01 00:00:00.000000000 +0000",
    "1969-12-31 16:00:00.000000000 -0800",
    "1970-01-01 01:00:00 +0100",
    "1970-01-01 05:30:00 +05:30",
    "1970-01-01 00:00:00",
    "1970-01-01T00:00:00Z",
    "Thu Jan  1 00:00:00 1970",
    "Thu Jan  1 00:00:00 UTC 1970",
]


LATER = "2026-01-01 10:00:00.000000000 +0100"


@pytest.mark.parametrize(
    "names",
    [("a/n", "b/n"), ("n", "n"), ("n.orig", "n"), ("a/n", "a/n"), ("old/n", "new/n"), ("p-1.0/n", "p-1.1/n")],
)
async def test_a_diff_from_nothing_creates_a_file(editor: EditorFixture, names: tuple[str, str]) -> None:
    await editor.patch(diff(*names, "@@ -0,0 +1,2 @@\n+x\n+y\n"))
    assert editor.tree() == {"n": b"x\ny\n"}


async def test_a_diff_from_nothing_inserts_into_a_file_that_exists(editor: EditorFixture) -> None:
    """`diff -U0` writes the same header for lines at the top."""
    editor.put(n="z\n", empty="")
    hunk = "@@ -0,0 +1 @@\n+x\n"
    await editor.patch(diff("a/n", "b/n", hunk) + diff("a/empty", "b/empty", hunk))
    assert editor.tree() == {"n": b"x\nz\n", "empty": b"x\n"}


@pytest.mark.parametrize("separator", ["\t", "  "])
@pytest.mark.parametrize("epoch", EPOCHS)
async def test_the_epoch_as_timestamp_means_no_file(
    editor: EditorFixture, epoch: str, separator: str
) -> None:
    editor.put(gone="one\n")
    await editor.patch(
        diff(f"a/n{separator}{epoch}", f"b/n{separator}{LATER}", "@@ -0,0 +1 @@\n+x\n")
        + diff(f"a/gone{separator}{LATER}", f"b/gone{separator}{epoch}", "@@ -1 +0,0 @@\n-one\n")
    )
    assert editor.tree() == {"n": b"x\n"}


async def test_output_of_diff_between_two_directories(editor: EditorFixture, tmp_path: Path) -> None:
    """`diff -Naur old new`, applied where the files are."""
    trees: dict[str, dict[str, str]] = {
        "old": {"same": "x\n", "sub/changed": "a\nb\n", "sub/gone": "1\n2\n"},
        "new": {"same": "x\n", "sub/changed": "a\nc\n", "sub/made": "3\n"},
    }
    for name, files in trees.items():
        for path, text in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
    done = await anyio.run_process(["diff", "-Naur", "old", "new"], cwd=tmp_path, check=False)
    for path, text in trees["old"].items():
        (editor.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (editor.folder / path).write_text(text)
    await editor.patch(done.stdout.decode())
    assert editor.tree() == {path: text.encode() for path, text in trees["new"].items()}


async def test_a_file_that_becomes_empty_is_kept(editor: EditorFixture) -> None:
    editor.put(a="one\n", b="one\n")
    hunk = "@@ -1 +0,0 @@\n-one\n"
    await editor.patch(diff("a/a", "b/a", hunk) + diff(f"a/b\t{LATER}", f"b/b\t{LATER}", hunk))
    assert editor.tree() == {"a": b"", "b": b""}


async def test_an_epoch_timestamp_that_contradicts_the_file_is_refused(editor: EditorFixture) -> None:
    editor.put(n="one\ntwo\n")
    said = await editor.patch_refused(diff("n", f"n\t{EPOCHS[0]}", "@@ -1 +0,0 @@\n-one\n"))
    assert "does not match" in said
    said = await editor.patch_refused(diff(f"n\t{EPOCHS[0]}", "n", "@@ -0,0 +1 @@\n+x\n"))
    assert "exists already" in said


@pytest.mark.parametrize("signature", ["-- \n2.39.5\n\n", "-- \n\n", "\n", "--\n2.39.5\n"])
@pytest.mark.parametrize("message", ["- adds x\n+ and y\n\n-v is new\n", "text\n", "@me: ok\n-\n"])
async def test_a_series_of_patch_mails_is_applied(
    editor: EditorFixture, signature: str, message: str
) -> None:
    editor.put(f="a\nb\n")
    mails = [
        f"From {'0' * 40} Mon Sep 17 00:00:00 2001\nFrom: N <e>\nSubject: [PATCH {i}/2] s\n\n{message}---\n f | 2 +-\n"
        f" 1 file changed, 1 insertion(+), 1 deletion(-)\n\ndiff --git a/f b/f\nindex 1..2 100644\n"
        f"--- a/f\n+++ b/f\n@@ -{i} +{i} @@\n-{old}\n+{new}\n{signature}"
        for i, old, new in ((1, "a", "A"), (2, "b", "B"))
    ]
    await editor.patch("".join(mails))
    assert editor.tree() == {"f": b"A\nB\n"}


@pytest.mark.parametrize(
    "between",
    [
        "\n- adds x\n- adds y\n",
        "\nNotes:\n+ one more\n-----\n",
        "commit 0123456789abcdef\nAuthor: N <e>\n\n    - adds x\n\n",
        "Only in b: z\n-q\n",
        "Index: g\n===================================================================\n",
    ],
)
async def test_text_between_the_diffs_of_two_files_is_ignored(editor: EditorFixture, between: str) -> None:
    editor.put(f="a\n", g="b\n")
    await editor.patch(
        diff("a/f", "b/f", f"@@ -1 +1 @@\n-a\n+A\n{between}")
        + diff("a/g", "b/g", f"@@ -1 +1 @@\n-b\n+B\n{between}")
    )
    assert editor.tree() == {"f": b"A\n", "g": b"B\n"}


@pytest.mark.parametrize(
    "rest", ["\n-    c\n+    d\n", "\n c\n-d\n", "x\n-c\n", "-- \n-c\n", "\n+c\n", "--\n c\n+d\n"]
)
async def test_lines_after_a_miscounted_hunk_are_not_lost(editor: EditorFixture, rest: str) -> None:
    editor.put(f="a\n\n    c\n")
    said = await editor.patch_refused(diff("a/f", "b/f", f"@@ -1 +1 @@\n-a\n+A\n{rest}"))
    assert "belongs to no hunk" in said or "does not match" in said


@pytest.mark.parametrize(
    ("names", "path"),
    [("a/x y b/x y", "x y"), ("x x", "x"), ("a/b b/b", "b"), ("a b a b", "a b"), ("a/a/b b/a/b", "a/b")],
)
def test_names_with_spaces_in_a_git_header_are_read(names: str, path: str) -> None:
    assert [file.path for file in parse(f"diff --git {names}\nnew file mode 100755\n")] == [path]


@pytest.mark.parametrize(
    "line",
    [
        "@@" + " " * 50_000 + "@",
        "@@ " + "... " * 20_000 + "@ @@",
        "diff --git " + "a " * 50_000 + "b",
        "diff --git " + '"\\" ' * 30_000,
        "--- a/x" + " \t" * 50_000 + "1\n+++ b/x" + " " * 50_000,
        "--- a/x" + " 1970-01-01 00:00:00" * 5_000 + "\n+++ b/x",
        "*** Begin Patch\n*** Update File:" + " " * 50_000 + "\n@@ -1" + " " * 50_000 + "x\n*** End Patch",
        "*** Begin Patch\n*** Update File: f\n" + "\n" * 20_000 + "@@\n*** End Patch",
    ],
    ids=range(8),
)
def test_no_line_of_a_patch_takes_long(line: str) -> None:
    began = time.process_time()
    for text in (line, f"--- a/f\n+++ b/f\n{line}\n-x\n+y\n"):
        try:
            parse(text)
        except ToolError:
            continue
    assert time.process_time() - began < 1
