"""Servers that others have written, of both eras of the protocol."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent_runtime.testing.plugin import Replay
from tests.mcp.test_servers import call, notices, outputs, run
from tests.support.npm import UNREACHABLE

pytestmark = pytest.mark.long


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


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed")
def test_the_public_servers_of_node_work(workspace: Path, tmp_path: Path) -> None:
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(tmp_path)]
    names = ("server-filesystem", "server-everything")
    packages = [f"@modelcontextprotocol/{name}@2026.8.31" for name in names]
    installed = subprocess.run([*install, *packages], capture_output=True, text=True, check=False)
    if re.search(UNREACHABLE, installed.stderr):
        pytest.skip("npm's registry cannot be reached")
    assert installed.returncode == 0, installed.stderr
    programs = tmp_path / "node_modules" / ".bin"
    (workspace / "a.txt").write_text("one\n")
    servers = {
        "files": {"command": str(programs / "mcp-server-filesystem"), "args": [str(workspace)]},
        "all": {"command": str(programs / "mcp-server-everything")},
    }
    calls = [
        call("read_text_file", "files", path=str(workspace / "a.txt")),
        call("read_text_file", "files", path="/etc/passwd"),
        call("get-sum", "all", a=1, b=2),
        call("get-structured-content", "all", location="Chicago"),
        call("get-tiny-image", "all"),
        call("trigger-long-running-operation", "all", duration=1, steps=3),
    ]
    done = run(workspace, calls, servers, options=["--partial"])
    assert set(notices(done, "mcp_server_ready")) == set(servers)
    read, outside, total, structured, image, slow = outputs(done)
    assert read == ("completed", "one\n")
    assert outside[0] == "failed" and "Access denied" in outside[1]
    assert "3" in total[1] and '"temperature"' in structured[1]
    assert "[image image/png" in image[1]
    assert slow[0] == "completed"
    assert any("progress" in each["delta"] for each in done.of("tool_output_delta"))
