"""`apply_patch` written into the shell: a command that applies the patch with the editor of the tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_runtime.testing.model_server import Turn
from agent_runtime.testing.scripted import run_scripted

_PATCH = """*** Begin Patch
*** Update File: a.txt
-one
+uno
*** Add File: new/b.txt
+$HOME `x`
*** End Patch"""
_DIFF = """--- a/a.txt
+++ b/a.txt
@@ -1 +1 @@
-one
+uno
--- /dev/null
+++ b/new/b.txt
@@ -0,0 +1 @@
+$HOME `x`"""
_FORMS = {
    "heredoc": f"apply_patch <<'EOF'\n{_PATCH}\nEOF",
    "double": f'cd sub && apply_patch <<"PATCH"\n{_PATCH}\nPATCH',
    "other name": f"cd sub; applypatch << \\END\n{_PATCH}\nEND\ntest $? = 0",
    "argument": f"(cd sub && apply_patch '{_PATCH}')",
    "pipe": f"cat <<'E' | (cd sub; apply_patch -)\n{_PATCH}\nE",
    "file": f"cat > /tmp/$$.diff <<'E'\n{_PATCH}\nE\napply_patch /tmp/$$.diff; rm /tmp/$$.diff",
    "sh": f"cd sub && sh -c 'apply_patch \"$1\"' sh '{_PATCH}'",
    "diff": f"apply_patch <<'EOF'\n{_DIFF}\nEOF",
}


@pytest.mark.parametrize("tool, argument", [("bash", "command"), ("exec_command", "cmd")])
def test_a_patch_in_the_shell_is_applied_by_the_editor(tool: str, argument: str, tmp_path: Path) -> None:
    calls = []
    for name, command in _FORMS.items():
        folder = tmp_path / name
        for place in (folder, folder / "sub"):
            place.mkdir(parents=True)
            (place / "a.txt").write_text("one\n")
        calls.append((tool, {argument: f"cd '{folder}' && {command}"}))
    run = run_scripted([Turn(calls=[call]) for call in calls] + [Turn(text="done")], tmp_path, tools=[tool])
    for name, command in _FORMS.items():
        place = tmp_path / name / ("sub" if "cd sub" in command else "")
        assert (place / "a.txt").read_text() == "uno\n", name
        assert (place / "new/b.txt").read_text() == "$HOME `x`\n", name
        edits = [e["action"] for e in run.events if e["type"] == "file_edit" and f"/{name}/" in e["path"]]
        assert edits == ["modify", "create"], name


def test_a_patch_that_cannot_be_applied_fails_with_the_text_of_the_editor(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    patch = _PATCH.replace("-one", "-two")
    script = [Turn(calls=[("bash", {"command": f"apply_patch <<'EOF'\n{patch}\nEOF"})]), Turn(text="done")]
    [result] = [e for e in run_scripted(script, tmp_path).events if e["type"] == "tool_result"]
    assert result["exitCode"] == 1
    assert "hunk 1 (line 3 of the patch) does not match" in result["output"]
    assert not (tmp_path / "new").exists()
