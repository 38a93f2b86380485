"""Unified diffs, of git and of diff."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import anyio
import pytest

from agent_runtime.errors import ToolError
from agent_runtime.files.patch.parse import parse
from tests.files.editor_fixture import EditorFixture

pytestmark = pytest.mark.anyio


def git(editor: EditorFixture, *arguments: str) -> str:
    command = ["git", "-C", str(editor.folder), "-c", "user.name=n", "-c", "user.email=e", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def test_output_of_git_diff_is_applied(editor: EditorFixture) -> None:
    """Renames with changes, modes, new, empty and deleted files, unusual names, no final line end: as in git."""
    editor.put(
        a_txt="".join(f"{i}\n" for i in range(50)),
        gone="x\ny\n",
        old_py="def f():\n    return 1\n" * 5,
        open="a\nb",
    )
    (editor.folder / "run.sh").write_text("#!/bin/sh\n")
    git(editor, "init", "-q")
    git(editor, "add", ".")
    git(editor, "commit", "-qm", "1")
    editor.put(a_txt="".join(f"{i}\n" if i % 20 else f"*{i}\n" for i in range(50)), open="a\nb\n")
    (editor.folder / "gone").unlink()
    (editor.folder / "old.py").rename(editor.folder / "new.py")
    editor.put(new_py="def f():\n    return 1\n" * 4 + "def f():\n    return 2\n")
    (editor.folder / "run.sh").chmod(0o755)
    (editor.folder / "émpty").touch()
    (editor.folder / "with space").write_text("no end")
    git(editor, "add", "-A")
    diff = git(editor, "diff", "--cached", "-M")
    wanted = {name: data for name, data in editor.tree().items() if not name.startswith(".git/")}
    git(editor, "reset", "-q", "--hard")
    await editor.patch(diff)
    assert {name: data for name, data in editor.tree().items() if not name.startswith(".git/")} == wanted
    assert (editor.folder / "run.sh").stat().st_mode & 0o111


async def test_output_of_diff_u_is_applied(editor: EditorFixture) -> None:
    editor.put(a_txt="a\nb\nc\n")
    await editor.patch("--- a.txt.orig\t2024-01-01\n+++ a.txt\t2024-01-02\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n")
    assert editor.tree() == {"a.txt": b"a\nB\nc\n"}


async def test_line_numbers_decide_between_equal_places(editor: EditorFixture) -> None:
    editor.put(a_txt="x\ny\nx\ny\nx\ny\n")
    await editor.patch("--- a/a.txt\n+++ b/a.txt\n@@ -3,2 +3,2 @@\n-x\n+z\n y\n")
    assert editor.tree() == {"a.txt": b"x\ny\nz\ny\nx\ny\n"}


async def test_wrong_line_numbers_are_ignored_where_the_place_is_unique(editor: EditorFixture) -> None:
    editor.put(a_txt="a\nb\nc\n")
    await editor.patch("--- a/a.txt\n+++ b/a.txt\n@@ -40,9 +41,1 @@\n a\n-b\n+B\n@@ -70 +70 @@\n c\n+d\n")
    assert editor.tree() == {"a.txt": b"a\nB\nc\nd\n"}


async def test_a_hunk_with_wrong_line_numbers_that_fits_twice_is_refused(editor: EditorFixture) -> None:
    editor.put(a_txt="x\ny\nx\ny\n")
    said = await editor.patch_refused("--- a/a.txt\n+++ b/a.txt\n@@ -9,2 +9,2 @@\n-x\n+z\n y\n")
    assert "hunk 1 (line 3 of the patch) matches 2 places, at lines 1 and 3" in said


async def test_new_and_deleted_files_in_diffs_are_applied(editor: EditorFixture) -> None:
    editor.put(gone="a\nb\n")
    await editor.patch(
        "--- /dev/null\n+++ b/new/f\n@@ -0,0 +1,2 @@\n+one\n+two\n\\ No newline at end of file\n"
        "--- a/gone\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n"
    )
    assert editor.tree() == {"new/f": b"one\ntwo"}


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ("--- a/gone\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-X\n", "Line 2 differs: the file has 'b'"),
        ("--- a/gone\n+++ b/gone\n@@ -1,2 +1,9 @@\n a\n-b\n+c\n", "ends early"),
        ("--- a/gone\n+++ b/gone\n", "changes nothing"),
        ("--- a/gone\n+++ b/gone\n@@ -1,x +1 @@\n a\n", "is not a hunk header"),
        (f"--- a/gone\n+++ b/gone\n@@ -{'9' * 5_000} +1 @@\n-a\n+b\n", "is not a hunk header"),
        (
            "--- a/gone\n+++ b/gone\n@@ -1,2 +1,2 @@\na\n-b\n+c\n",
            "has no lines: each begins with ` `, `-` or `+`. After it",
        ),
        ("diff --git a/p b/p\nindex 1..2 100644\nGIT binary patch\nliteral 1\n", "binary"),
        ("diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+x\n", "symlink"),
        ("@@ -1 +1 @@\n-a\n+b\n", "This is not a patch"),
        ("--- a/gone\n+++ b/gone\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n-z\n", "does not match"),
    ],
)
async def test_an_invalid_diff_changes_nothing(editor: EditorFixture, patch: str, said: str) -> None:
    editor.put(gone="a\nb\n", other="1\n")
    other = "--- a/other\n+++ b/other\n@@ -1 +1 @@\n-1\n+2\n"
    assert said in await editor.patch_refused(patch if patch.startswith("@@") else other + patch)


async def test_line_ends_in_a_diff_are_written(editor: EditorFixture) -> None:
    """git writes CRs into a diff; a model does not; a patch that is all in CRLF was converted on the way."""
    editor.put(with_cr="a\r\nb\r\n", plain="a\r\nb\r\n", wire="a\nb\n", turned="a\nb\n")
    await editor.patch("--- a/with.cr\n+++ b/with.cr\n@@ -1,2 +1,3 @@\n a\r\n-b\r\n+B\r\n+c\n")
    await editor.patch("--- a/plain\n+++ b/plain\n@@ -1,2 +1,2 @@\n a\n-b\n+B\n")
    await editor.patch("--- a/wire\r\n+++ b/wire\r\n@@ -1,2 +1,2 @@\r\n a\r\n-b\r\n+B\r\n")
    await editor.patch("--- a/turned\n+++ b/turned\n@@ -1,2 +1,2 @@\n-a\n+a\r\n b\n")
    await editor.patch("--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+a\r\n")
    assert editor.tree() == {
        "with.cr": b"a\r\nB\r\nc\n",
        "plain": b"a\r\nB\r\n",
        "wire": b"a\nB\n",
        "turned": b"a\r\nb\n",
        "new": b"a\r\n",
    }


async def test_a_unified_diff_between_begin_and_end_patch(editor: EditorFixture) -> None:
    editor.put(a_txt="a\n")
    await editor.patch("*** Begin Patch\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-a\n+b\n*** End Patch\n")
    assert editor.tree() == {"a.txt": b"b\n"}


async def test_content_lines_that_look_like_headers_are_content(editor: EditorFixture) -> None:
    editor.put(a_sql="-- one\n++ two\nend\n")
    await editor.patch("--- a/a.sql\n+++ b/a.sql\n@@ -1,3 +1,3 @@\n--- one\n-++ two\n+-- 1\n+++ 2\n end\n")
    assert editor.tree() == {"a.sql": b"-- 1\n++ 2\nend\n"}


TWICE = "class A:\n    def f(self):\n        return 1\n\nclass B:\n    def f(self):\n        return 1\n"


@pytest.mark.parametrize(
    "header", ["@@ class B:", "@@ class B: @@", "@@ ... @@ class B:", "@@ @@ class B:", "@@\n class B:"]
)
async def test_hunk_headers_without_numbers_are_accepted(editor: EditorFixture, header: str) -> None:
    editor.put(f_py=TWICE)
    hunk = f"{header}\n     def f(self):\n-        return 1\n+        return 2\n"
    await editor.patch(f"--- a/f.py\n+++ b/f.py\n{hunk}--- /dev/null\n+++ b/new\n@@\n+x\n")
    assert editor.tree() == {"f.py": f"{TWICE[:-2]}2\n".encode(), "new": b"x\n"}


async def test_a_blank_line_of_a_hunk_without_numbers(editor: EditorFixture) -> None:
    editor.put(f_py=TWICE)
    await editor.patch(
        "--- a/f.py\n+++ b/f.py\n@@ ... @@\n-        return 1\n+        return 3\n\n class B:\n"
    )
    assert editor.tree() == {"f.py": TWICE.replace("return 1", "return 3", 1).encode()}


async def test_a_hunk_without_numbers_that_fits_twice_is_refused(editor: EditorFixture) -> None:
    editor.put(f_py=TWICE)
    said = await editor.patch_refused("--- a/f.py\n+++ b/f.py\n@@ ... @@\n-        return 1\n+\n")
    assert "matches 2 places, at lines 3 and 7" in said


@pytest.mark.parametrize(
    ("before", "after"), [("```diff\n", "```\n"), ("*** Begin Patch\n", "*** End Patch")]
)
async def test_counts_beyond_the_end_of_a_complete_diff_are_tolerated(
    editor: EditorFixture, before: str, after: str
) -> None:
    editor.put(f="a\nb\n")
    await editor.patch(f"{before}--- a/f\n+++ b/f\n@@ -1,9 +1,9 @@\n a\n-b\n+c\n{after}")
    assert editor.tree() == {"f": b"a\nc\n"}


async def test_a_directory_named_like_a_diff_prefix_is_found(editor: EditorFixture) -> None:
    (editor.folder / "a").mkdir()
    editor.put(f="x\n")
    (editor.folder / "a/f").write_text("x\n")
    await editor.patch("--- a/f\n+++ a/f\n@@ -1 +1 @@\n-x\n+y\n")
    assert editor.tree() == {"f": b"x\n", "a/f": b"y\n"}
    await editor.patch("--- a/f\n+++ b/f\n@@ -1 +1 @@\n-x\n+z\n")
    assert editor.tree() == {"f": b"z\n", "a/f": b"y\n"}


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
