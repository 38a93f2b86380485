"""The program where /proc is not as usual: nothing of it can be written, or it hides the processes of others."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.runtime import COMMAND, environment, result
from tests.support.runs import bash

NAMESPACE = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", *(["-r"] if os.geteuid() else [])]
READ_ONLY = "mount --bind {0} {0} && mount -o remount,bind,ro {0} && ! touch {0} 2>/dev/null"
WAYS = {
    "sys-read-only": READ_ONLY.format("/proc/sys"),
    "read-only": READ_ONLY.format("/proc"),
    "hidepid": "mount -o remount,hidepid=2 /proc && grep -q '/proc .*hidepid=' /proc/mounts",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_run_works_with_an_unusual_proc(way: str, workspace: Path) -> None:
    """Edits, servers, timeouts and the protection of keys work as elsewhere."""
    tried = subprocess.run([*NAMESPACE, "sh", "-c", WAYS[way]], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"/proc cannot be mounted so here: {tried.stderr.strip()}")
    serve = "python3 -u -m http.server 0 --bind 127.0.0.1 >log 2>&1 & until [ -s log ]; do sleep 0.02; done"
    look = "cat /proc/$PPID/environ; head -c 9 /proc/$PPID/mem; grep -la 'aliv[e]' /proc/[0-9]*/cmdline"
    script = [
        bash(f"echo new > made; {serve}"),
        bash("(setsid sh -c 'sleep 60; : alive' &); sleep 60; : alive", timeout=1),
        bash(look),
        Turn(text="ok"),
    ]
    with ModelServer(script) as server:
        done = subprocess.run(
            [*NAMESPACE, "sh", "-c", f'{WAYS[way]}; exec "$@"', "sh", *COMMAND, "run"],
            input=json.dumps({"prompt": "x", "workspace": str(workspace)}).encode(),
            capture_output=True,
            env=environment(server.environ("anthropic"), workspace.parent / "state"),
            timeout=150,
        )
    outcome = result(done.stdout, done.returncode, done.stderr)
    assert (outcome.code, outcome.of("error"), outcome.of("notice")) == (0, [], [])
    assert str(workspace / "made") in outcome.complete["files"]
    assert [event["status"] for event in outcome.of("dev_url")][:1] == ["up"]
    edit, slow, looked = outcome.of("tool_result")
    assert (edit["outcome"], slow["outcome"]) == ("completed", "timed_out")
    assert "left running" in edit["output"] or "listening on port" in edit["output"]
    assert "cmdline" not in looked["output"]  # the command that timed out is dead
    assert "mem' for reading: Permission denied" in looked["output"] and "[secret]" not in looked["output"]
