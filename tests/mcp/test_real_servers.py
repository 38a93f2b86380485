"""Servers that others have written, of both eras of the protocol."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from agent_runtime.testing.plugin import Replay
from tests.mcp.test_servers import call, notices, outputs, run


def test_the_public_time_and_git_servers_work(workspace: Path, tmp_path: Path, replay: Replay) -> None:
    (workspace / "a.txt").write_text("one\n")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=workspace, check=True)
    servers = {
        "time": {"command": sys.executable, "args": ["-m", "mcp_server_time", "--local-timezone=UTC"]},
        "git": {"command": sys.executable, "args": ["-m", "mcp_server_git", "--repository", str(workspace)]},
    }
    calls = [
        call("get_current_time", "time", timezone="Europe/Lisbon"),
        call("convert_time", "time", source_timezone="UTC", time="noon", target_timezone="UTC"),
        call("git_status", "git", repo_path=str(workspace)),
    ]
    transcript = tmp_path / "t.ndjson"
    done = run(workspace, calls, servers, options=["--record", str(transcript)])
    assert set(notices(done, "mcp_server_ready")) == {"time", "git"}
    now, wrong, status = outputs(done)
    assert json.loads(now[1])["timezone"] == "Europe/Lisbon"
    assert wrong[0] == "failed"
    assert "a.txt" in status[1]
    assert outputs(replay(transcript)) == outputs(done)
