"""`import`, and the commands that read what it makes, or the files themselves."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from atif import Trajectory

from agent_runtime.testing.runtime import COMMAND, environment
from tests.importers.test_sessions import ANSWER, CLAUDE, FILES, SESSIONS
from tests.support.commands import command

CODEX = SESSIONS / "codex-0.171.jsonl"


@pytest.mark.parametrize(("source", "path"), [("codex", CODEX), ("claude", CLAUDE)])
def test_an_imported_session_is_a_run(source: str, path: Path, tmp_path: Path) -> None:
    done = command("import", source, path, state=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    run = done.stdout.strip()
    [listed] = json.loads(command("runs", "--json", state=tmp_path).stdout)
    assert (listed["runId"], listed["status"]) == (run, "completed")
    assert listed["prompt"] == "Change two to three in notes.txt."
    by_id, direct = (command("show", name, state=tmp_path) for name in (run, path))
    assert ANSWER in by_id.stdout
    assert "› Change two to three in notes.txt." in by_id.stdout
    assert by_id.stdout == direct.stdout
    page = tmp_path / "r.html"
    for name in (run, path):
        assert command("report", name, "-o", page, state=tmp_path).returncode == 0
        assert ANSWER in page.read_text()
    replayed = subprocess.run(
        [*COMMAND, "replay", run, "--workspace", tmp_path],
        capture_output=True,
        text=True,
        env=environment({}, tmp_path),
        check=False,
    )
    assert replayed.returncode == 2
    assert "has no responses" not in replayed.stdout
    assert "imported from" in replayed.stdout


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_session_can_be_exported(path: Path, tmp_path: Path) -> None:
    done = command("export", path, "--format", "atif", state=tmp_path)
    assert done.returncode == 0, done.stderr
    found = Trajectory.model_validate(json.loads(done.stdout))
    assert found.agent.name in ("codex", "claude-code")
    assert "user" in [step.source for step in found.steps]


def test_the_other_kind_is_an_error_that_says_what_the_file_is(tmp_path: Path) -> None:
    done = command("import", "claude", CODEX, state=tmp_path)
    assert done.returncode == 2
    assert "expected a session of Claude Code; this file is a rollout of codex" in done.stderr
    missing = command("import", "codex", tmp_path / "none", state=tmp_path)
    assert (missing.returncode, "there is no such file" in missing.stderr) == (2, True)


def test_output_names_the_file_to_write(tmp_path: Path) -> None:
    target = tmp_path / "t.ndjson"
    done = command("import", "codex", CODEX, "-o", target, state=tmp_path / "state")
    assert (done.returncode, done.stdout.strip()) == (0, str(target))
    assert target.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "state").exists()
    assert ANSWER in command("show", target, state=tmp_path).stdout
