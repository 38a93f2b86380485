"""The folder of the runtime's own commands."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from agent_runtime.shell.own_commands import own_commands, with_folder


def test_the_commands_are_written_once(tmp_path: Path) -> None:
    folder = own_commands(tmp_path, for_other_user=False)
    assert folder and folder == tmp_path / "bin"
    before = {file.name: file.stat().st_ino for file in folder.iterdir()}
    assert set(before) == {"apply_patch", "applypatch"}
    (folder / "applypatch").write_text("something else")
    own_commands(tmp_path, for_other_user=False)
    after = {file.name: file.stat().st_ino for file in folder.iterdir()}
    assert after["apply_patch"] == before["apply_patch"]
    assert (folder / "applypatch").read_text() == (folder / "apply_patch").read_text()
    assert os.access(folder / "applypatch", os.X_OK)


def test_a_folder_that_others_may_write_to_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"agent-commands-{os.geteuid()}").mkdir()
    (tmp_path / f"agent-commands-{os.geteuid()}").chmod(0o777)
    assert own_commands(tmp_path, for_other_user=True) is None
    (tmp_path / "bin").symlink_to("/usr/bin")
    assert own_commands(tmp_path, for_other_user=False) is None


def test_an_unwritable_state_directory_is_tolerated() -> None:
    assert own_commands(Path("/proc/self"), for_other_user=False) is None


def test_the_folder_is_the_last_of_path() -> None:
    assert with_folder("/a:/b", Path("/c")) == "/a:/b:/c"
    assert with_folder("/a:/b", Path("/c:d")) == with_folder("/a:/b", None) == "/a:/b"
