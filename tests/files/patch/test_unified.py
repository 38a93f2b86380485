"""Unified diffs, of git and of diff."""

from __future__ import annotations

import subprocess

import pytest

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
