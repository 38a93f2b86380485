"""Damaged patches: no crash, no partial change. What is applied is applied whole."""

from __future__ import annotations

import difflib
import random
import tempfile
from pathlib import Path

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_runtime.errors import ToolError
from tests.files.editor_fixture import EditorFixture

FILES = {
    "a.py": "".join(f"def f{i}():\n    return {i}\n\n" for i in range(6)),
    "b.txt": "one\r\ntwo\r\nthree\r\nthree\r\n",
    "c.txt": "x\ny\nz",
}
ENVELOPE = """*** Begin Patch
*** Update File: a.py
@@ def f1():
-    return 1
+    return 11
@@ def f4():
-    return 4
+    return 44
*** Update File: b.txt
*** Move to: d/e.txt
@@
 one
-two
+2
*** Delete File: c.txt
*** Add File: n.txt
+new
*** End Patch
"""
UNIFIED = """diff --git a/a.py b/a.py
--- a/a.py
+++ b/a.py
@@ -4,2 +4,2 @@
 def f1():
-    return 1
+    return 11
diff --git a/b.txt b/d.txt
similarity index 50%
rename from b.txt
rename to d.txt
--- a/b.txt
+++ b/d.txt
@@ -1,2 +1,2 @@
 one
-two
+2
--- /dev/null
+++ b/n.txt
@@ -0,0 +1 @@
+new
--- a/c.txt
+++ /dev/null
@@ -1,3 +0,0 @@
-x
-y
-z
\\ No newline at end of file
"""


def apply(patch: str) -> tuple[dict[str, bytes], dict[str, bytes], str | None]:
    """The tree before and after, and why it was refused."""
    with tempfile.TemporaryDirectory() as folder:
        editor = EditorFixture(Path(folder).resolve())
        for name, text in FILES.items():
            (editor.folder / name).write_bytes(text.encode())
        before = editor.tree()
        try:
            anyio.run(editor.patch, patch)
        except ToolError as error:
            assert str(error)
            assert not editor.changes
            return before, editor.tree(), str(error)
        assert len(editor.changes) == 1
        return before, editor.tree(), None


@st.composite
def damaged(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from((ENVELOPE, UNIFIED)))
    for _ in range(draw(st.integers(1, 3))):
        lines = text.split("\n")
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(("drop", "double", "swap", "char", "cut", "junk", "prefix")))
        if kind == "drop":
            del lines[at]
        elif kind == "double":
            lines.insert(at, lines[at])
        elif kind == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == "prefix":
            lines[at] = draw(st.sampled_from("+- @*\\")) + lines[at][1:]
        elif kind == "junk":
            lines.insert(at, draw(st.text(max_size=10)))
        text = "\n".join(lines) or "x"
        if kind == "char":
            place = draw(st.integers(0, len(text) - 1))
            text = text[:place] + draw(st.characters()) + text[place + 1 :]
        elif kind == "cut":
            text = text[: draw(st.integers(0, len(text)))] or "x"
    return text


@settings(max_examples=150, deadline=None)
@given(patch=damaged())
def test_a_damaged_patch_is_applied_whole_or_not_at_all(patch: str) -> None:
    before, after, refused = apply(patch)
    if refused is not None:
        assert after == before
    assert not any(".agent-runtime-" in name for name in after)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 30), context=st.integers(1, 4))
def test_any_diff_of_difflib_is_applied(seed: int, context: int) -> None:
    rng = random.Random(seed)
    old = [f"{rng.choice('abcdef')}{rng.randrange(4)}\n" for _ in range(rng.randrange(1, 30))]
    new = [line for line in old if rng.random() > 0.2]
    for _ in range(rng.randrange(4)):
        new.insert(rng.randrange(len(new) + 1), f"new {rng.randrange(100)}\n")
    diff = "".join(difflib.unified_diff(old, new, "a/f", "b/f", n=context))
    with tempfile.TemporaryDirectory() as folder:
        editor = EditorFixture(Path(folder).resolve())
        (editor.folder / "f").write_text("".join(old))
        if not diff:
            return
        anyio.run(editor.patch, diff)
        assert (editor.folder / "f").read_text() == "".join(new)


def test_undamaged_patches_are_applied() -> None:
    for patch, moved in ((ENVELOPE, "d/e.txt"), (UNIFIED, "d.txt")):
        _, after, refused = apply(patch)
        assert refused is None
        assert sorted(after) == sorted(["a.py", moved, "n.txt"])
        assert after[moved] == b"one\r\n2\r\nthree\r\nthree\r\n"
