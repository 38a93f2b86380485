"""`--tool-user` from outside: the shell and every file tool have the same rights."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_runtime.testing import runtime
from agent_runtime.testing.model_server import ModelServer, Turn

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
USER = "games"
EDITOR = "str_replace_based_edit_tool"


@pytest.fixture
def top() -> Iterator[Path]:
    """A directory that other users can enter, unlike that of pytest."""
    path = Path(tempfile.mkdtemp(prefix="tool-user-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("confine", [False, True])
def test_all_tools_run_with_the_rights_of_the_tool_user(top: Path, confine: bool) -> None:
    workspace, secret = top / "workspace", top / "secret"
    for folder in (workspace, secret):
        folder.mkdir()
    for name in ("f", "g"):
        (secret / name).write_text("secret\n")
        (secret / name).chmod(0o600)
    secret.chmod(0o700)
    entry = pwd.getpwnam(USER)
    os.chown(workspace, entry.pw_uid, entry.pw_gid)
    (workspace / "link").symlink_to(secret / "f")
    patch = f"*** Begin Patch\n*** {{}} File: {secret}/g\n{{}}*** End Patch"
    refused = [
        (EDITOR, {"command": "view", "path": f"{secret}/f"}),
        (EDITOR, {"command": "view", "path": str(secret)}),
        (EDITOR, {"command": "create", "path": f"{secret}/new", "file_text": "x"}),
        (EDITOR, {"command": "str_replace", "path": f"{secret}/g", "old_str": "secret", "new_str": "x"}),
        (EDITOR, {"command": "insert", "path": f"{secret}/g", "insert_line": 0, "insert_text": "x"}),
        ("read_file", {"path": "/etc/shadow"}),
        ("list_directory", {"path": str(secret)}),
        ("view_image", {"path": f"{secret}/f"}),
        ("grep", {"pattern": "secret", "path": str(secret)}),
        ("grep", {"pattern": "root", "path": "/etc/shadow"}),
        ("file_search", {"pattern": "*", "path": str(secret)}),
        ("edit_file", {"path": "link", "old_string": "secret", "new_string": "x"}),
        ("write_file", {"path": "link", "content": "x"}),
        ("delete_file", {"path": f"{secret}/g"}),
        ("apply_patch", {"input": patch.format("Update", "-secret\n+x\n")}),
        ("apply_patch", {"input": patch.format("Delete", "")}),
    ]
    made = [
        ("bash", {"command": "mkdir -p by/bash; touch by/bash/f"}),
        ("write_file", {"path": "by/tool/f", "content": ""}),
        ("bash", {"command": "stat -c '%u %g %a' by/bash by/tool; stat -c '%u %g %a' by/bash/f by/tool/f"}),
    ]
    with ModelServer([Turn(calls=[*refused, *made]), Turn(text="done")]) as server:
        request = {
            "prompt": "x",
            "model": "claude-sonnet-4-5",
            "tools": sorted({name for name, _ in [*refused, *made]}),
            "toolUser": USER,
            "confine": confine,
        }
        result = runtime.run(request, workspace, server.environ("anthropic"))
    results = result.of("tool_result")
    for call, event in zip(refused, results, strict=False):
        assert event["isError"], call
        assert "permission denied" in event["output"], call
    directory, other_directory, file, other_file = results[-1]["output"].splitlines()
    assert (directory, file) == (other_directory, other_file)
    assert file.split()[:2] == [str(entry.pw_uid), str(entry.pw_gid)]
    assert {path.name: path.read_text() for path in secret.iterdir()} == {"f": "secret\n", "g": "secret\n"}
