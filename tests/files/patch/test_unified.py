"""Unified diffs, of git and of diff."""

from __future__ import annotations

import subprocess

import pytest

from tests.files.lab import Lab

pytestmark = pytest.mark.anyio


def git(lab: Lab, *arguments: str) -> str:
    command = ["git", "-C", str(lab.folder), "-c", "user.name=n", "-c", "user.email=e", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def test_what_git_diff_says_is_applied(lab: Lab) -> None:
    """Renames with changes, modes, new, empty and deleted files, odd names, open ends: the tree git had."""
    lab.put(
        a_txt="".join(f"{i}\n" for i in range(50)),
        gone="x\ny\n",
        old_py="def f():\n    return 1\n" * 5,
        open="a\nb",
    )
    (lab.folder / "run.sh").write_text("#!/bin/sh\n")
    git(lab, "init", "-q")
    git(lab, "add", ".")
    git(lab, "commit", "-qm", "1")
    lab.put(a_txt="".join(f"{i}\n" if i % 20 else f"*{i}\n" for i in range(50)), open="a\nb\n")
    (lab.folder / "gone").unlink()
    (lab.folder / "old.py").rename(lab.folder / "new.py")
    lab.put(new_py="def f():\n    return 1\n" * 4 + "def f():\n    return 2\n")
    (lab.folder / "run.sh").chmod(0o755)
    (lab.folder / "émpty").touch()
    (lab.folder / "with space").write_text("no end")
    git(lab, "add", "-A")
    diff = git(lab, "diff", "--cached", "-M")
    wanted = {name: data for name, data in lab.tree().items() if not name.startswith(".git/")}
    git(lab, "reset", "-q", "--hard")
    await lab.patch(diff)
    assert {name: data for name, data in lab.tree().items() if not name.startswith(".git/")} == wanted
    assert (lab.folder / "run.sh").stat().st_mode & 0o111


async def test_diff_dash_u_without_git(lab: Lab) -> None:
    lab.put(a_txt="a\nb\nc\n")
    await lab.patch("--- a.txt.orig\t2024-01-01\n+++ a.txt\t2024-01-02\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n")
    assert lab.tree() == {"a.txt": b"a\nB\nc\n"}


async def test_line_numbers_tell_equal_places_apart(lab: Lab) -> None:
    lab.put(a_txt="x\ny\nx\ny\nx\ny\n")
    await lab.patch("--- a/a.txt\n+++ b/a.txt\n@@ -3,2 +3,2 @@\n-x\n+z\n y\n")
    assert lab.tree() == {"a.txt": b"x\ny\nz\ny\nx\ny\n"}


async def test_wrong_numbers_are_no_matter_where_the_place_is_certain(lab: Lab) -> None:
    lab.put(a_txt="a\nb\nc\n")
    await lab.patch("--- a/a.txt\n+++ b/a.txt\n@@ -40,9 +41,1 @@\n a\n-b\n+B\n@@ -70 +70 @@\n c\n+d\n")
    assert lab.tree() == {"a.txt": b"a\nB\nc\nd\n"}


async def test_wrong_numbers_and_two_places_are_refused(lab: Lab) -> None:
    lab.put(a_txt="x\ny\nx\ny\n")
    said = await lab.patch_refused("--- a/a.txt\n+++ b/a.txt\n@@ -9,2 +9,2 @@\n-x\n+z\n y\n")
    assert "hunk 1 (line 3 of the patch) matches 2 places, at lines 1 and 3" in said


async def test_new_and_deleted_files(lab: Lab) -> None:
    lab.put(gone="a\nb\n")
    await lab.patch(
        "--- /dev/null\n+++ b/new/f\n@@ -0,0 +1,2 @@\n+one\n+two\n\\ No newline at end of file\n"
        "--- a/gone\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n"
    )
    assert lab.tree() == {"new/f": b"one\ntwo"}


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ("--- a/gone\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-X\n", "Line 2 differs: the file has 'b'"),
        ("--- a/gone\n+++ b/gone\n@@ -1,2 +1,9 @@\n a\n-b\n+c\n", "ends early"),
        ("--- a/gone\n+++ b/gone\n", "changes nothing"),
        ("--- a/gone\n+++ b/gone\n@@ -1,x +1 @@\n a\n", "is no hunk header"),
        (f"--- a/gone\n+++ b/gone\n@@ -{'9' * 5_000} +1 @@\n-a\n+b\n", "is no hunk header"),
        (
            "--- a/gone\n+++ b/gone\n@@ -1,2 +1,2 @@\na\n-b\n+c\n",
            "has no lines: each begins with ` `, `-` or `+`. After it",
        ),
        ("diff --git a/p b/p\nindex 1..2 100644\nGIT binary patch\nliteral 1\n", "binary"),
        ("diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+x\n", "symlink"),
        ("@@ -1 +1 @@\n-a\n+b\n", "This is no patch"),
        ("--- a/gone\n+++ b/gone\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n-z\n", "does not match"),
    ],
)
async def test_refused_with_nothing_changed(lab: Lab, patch: str, said: str) -> None:
    lab.put(gone="a\nb\n", other="1\n")
    other = "--- a/other\n+++ b/other\n@@ -1 +1 @@\n-1\n+2\n"
    assert said in await lab.patch_refused(patch if patch.startswith("@@") else other + patch)


async def test_line_ends_that_a_diff_shows_are_meant(lab: Lab) -> None:
    """git shows CRs; a model's own diff of a CRLF file does not; a patch all in CRLF came so."""
    lab.put(shown="a\r\nb\r\n", plain="a\r\nb\r\n", wire="a\nb\n", turned="a\nb\n")
    await lab.patch("--- a/shown\n+++ b/shown\n@@ -1,2 +1,3 @@\n a\r\n-b\r\n+B\r\n+c\n")
    await lab.patch("--- a/plain\n+++ b/plain\n@@ -1,2 +1,2 @@\n a\n-b\n+B\n")
    await lab.patch("--- a/wire\r\n+++ b/wire\r\n@@ -1,2 +1,2 @@\r\n a\r\n-b\r\n+B\r\n")
    await lab.patch("--- a/turned\n+++ b/turned\n@@ -1,2 +1,2 @@\n-a\n+a\r\n b\n")
    await lab.patch("--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+a\r\n")
    assert lab.tree() == {
        "shown": b"a\r\nB\r\nc\n",
        "plain": b"a\r\nB\r\n",
        "wire": b"a\nB\n",
        "turned": b"a\r\nb\n",
        "new": b"a\r\n",
    }


async def test_inside_the_other_envelope(lab: Lab) -> None:
    lab.put(a_txt="a\n")
    await lab.patch("*** Begin Patch\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-a\n+b\n*** End Patch\n")
    assert lab.tree() == {"a.txt": b"b\n"}


async def test_lines_that_look_like_headers(lab: Lab) -> None:
    lab.put(a_sql="-- one\n++ two\nend\n")
    await lab.patch("--- a/a.sql\n+++ b/a.sql\n@@ -1,3 +1,3 @@\n--- one\n-++ two\n+-- 1\n+++ 2\n end\n")
    assert lab.tree() == {"a.sql": b"-- 1\n++ 2\nend\n"}


TWICE = "class A:\n    def f(self):\n        return 1\n\nclass B:\n    def f(self):\n        return 1\n"


@pytest.mark.parametrize(
    "header", ["@@ class B:", "@@ class B: @@", "@@ ... @@ class B:", "@@ @@ class B:", "@@\n class B:"]
)
async def test_headers_without_numbers(lab: Lab, header: str) -> None:
    lab.put(f_py=TWICE)
    hunk = f"{header}\n     def f(self):\n-        return 1\n+        return 2\n"
    await lab.patch(f"--- a/f.py\n+++ b/f.py\n{hunk}--- /dev/null\n+++ b/new\n@@\n+x\n")
    assert lab.tree() == {"f.py": f"{TWICE[:-2]}2\n".encode(), "new": b"x\n"}


async def test_a_blank_line_of_a_hunk_without_numbers(lab: Lab) -> None:
    lab.put(f_py=TWICE)
    await lab.patch("--- a/f.py\n+++ b/f.py\n@@ ... @@\n-        return 1\n+        return 3\n\n class B:\n")
    assert lab.tree() == {"f.py": TWICE.replace("return 1", "return 3", 1).encode()}


async def test_a_hunk_without_numbers_and_two_places(lab: Lab) -> None:
    lab.put(f_py=TWICE)
    said = await lab.patch_refused("--- a/f.py\n+++ b/f.py\n@@ ... @@\n-        return 1\n+\n")
    assert "matches 2 places, at lines 3 and 7" in said


@pytest.mark.parametrize(
    ("before", "after"), [("```diff\n", "```\n"), ("*** Begin Patch\n", "*** End Patch")]
)
async def test_counts_that_are_too_large_in_a_diff_that_is_whole(lab: Lab, before: str, after: str) -> None:
    lab.put(f="a\nb\n")
    await lab.patch(f"{before}--- a/f\n+++ b/f\n@@ -1,9 +1,9 @@\n a\n-b\n+c\n{after}")
    assert lab.tree() == {"f": b"a\nc\n"}


async def test_a_folder_that_is_called_like_a_prefix(lab: Lab) -> None:
    (lab.folder / "a").mkdir()
    lab.put(f="x\n")
    (lab.folder / "a/f").write_text("x\n")
    await lab.patch("--- a/f\n+++ a/f\n@@ -1 +1 @@\n-x\n+y\n")
    assert lab.tree() == {"f": b"x\n", "a/f": b"y\n"}
    await lab.patch("--- a/f\n+++ b/f\n@@ -1 +1 @@\n-x\n+z\n")
    assert lab.tree() == {"f": b"z\n", "a/f": b"y\n"}
