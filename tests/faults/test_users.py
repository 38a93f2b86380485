"""Tools of other users, and limits of the user that the runtime runs as."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.runtime import COMMAND, Json, Result, environment, result
from tests.support.permissions import let_others_enter
from tests.support.runs import bash

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can change users"
)
USER = "games"
# The kernel counts the processes of a user everywhere: a user of this worker alone.
USER_ID = 100_000 + os.getpid()
NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
# The program and this test's folders belong to root: what reads them may, in the place of a real installation.
READS = "dac_override,+dac_read_search"


def run(script: list[Turn], folder: Path, prefix: Sequence[str] = (), **fields: object) -> Result:
    request: Json = {"prompt": "x", "workspace": str(folder / "workspace"), **fields}
    with ModelServer([*script, Turn(text="done")]) as server:
        done = subprocess.run(
            [*prefix, *COMMAND, "run"],
            input=json.dumps(request).encode(),
            capture_output=True,
            env=environment(server.environ("anthropic"), folder / "state"),
            timeout=120,
        )
    outcome = result(done.stdout, done.returncode, done.stderr)
    assert outcome.complete["output"] == "done", outcome.complete
    return outcome


def as_user(capabilities: str) -> list[str]:
    """Run as another user than root, with some of root's capabilities, in a PID namespace."""
    sets = [
        f"--inh-caps=+{capabilities}",
        f"--ambient-caps=+{capabilities}",
        f"--bounding-set=-all,+{capabilities}",
    ]
    return [*NAMESPACE, "setpriv", f"--reuid={USER_ID}", f"--regid={USER_ID}", "--clear-groups", *sets]


@pytest.fixture
def folder(workspace: Path) -> Path:
    let_others_enter(workspace)
    workspace.chmod(0o777)
    return workspace.parent


@pytest.mark.parametrize("state", ["open", "closed"])
def test_the_tool_user_can_read_the_files_it_is_sent_to(state: str, folder: Path) -> None:
    """Whole outputs, logs of servers and large objects, also when the state folder is not open to others."""
    (folder / "state").mkdir(mode=0o755 if state == "open" else 0o700)
    script = [
        bash("seq 1 30000"),
        bash("(echo from the server; sleep 60) & true"),
        bash(
            "sleep 0.2; cat $(dirname $AGENT_CONTEXT_FILE)/*.log | tail -1; wc -c <$AGENT_CONTEXT_FILE; id -un"
        ),
    ]
    done = run(script, folder, toolUser=USER, context={"doc": "x" * 140_000})
    outputs = [event["output"] for event in done.of("tool_result")]
    assert outputs[2].split("\n")[-2:] == ["140011", USER]
    assert "from the server" in outputs[2] or "30000" in outputs[2]
    whole = re.search(r"the whole output is in (\S+)", outputs[0])
    assert whole
    read = ["setpriv", f"--reuid={USER}", "--clear-groups", "tail", "-1", whole[1]]
    assert subprocess.run(read, capture_output=True, text=True).stdout == "30000\n"


def test_processes_that_cannot_be_ended_are_reported(folder: Path) -> None:
    """Without the right to signal another user's process, as when a command was started by sudo with a password."""
    other = f"setpriv --reuid={USER} --clear-groups sleep 300"
    script = [bash(f"echo begun; {other}", timeout=4), bash("echo next")]
    folder.chmod(0o777)
    done = run(script, folder, as_user(f"{READS},+setuid,+setgid"))
    slow, following = done.of("tool_result")
    assert slow["outcome"] == "timed_out"
    assert f"sleep 300): it belongs to {USER}" in slow["output"] and "all processes" not in slow["output"]
    assert following["output"].endswith("next")


@pytest.mark.parametrize("spare", [0, 1])
def test_the_shell_works_at_the_limit_of_processes(spare: int, folder: Path) -> None:
    """So that the model can end something."""
    owner = "$(stat -c %u $s 2>/dev/null || echo 0)"
    count = f"for s in /proc/[0-9]*/task/*; do [ {owner} = {USER_ID} ] && c=$((c+1)); done"
    fill = f"c=0; {count}; n=$((40-c-{spare})); for ((i=0; i<n; i++)); do sleep 60 & done; echo $n"
    folder.chmod(0o777)
    script = [bash(fill), bash("kill %1 %2 %3; echo killed", timeout=60), bash("ls; echo usable")]
    done = run(script, folder, [*as_user(READS), "prlimit", "--nproc=40"])
    filled, killed, usable = done.of("tool_result")
    assert filled["outcome"] == "completed"
    assert killed["output"].split("\n")[0] == "killed"
    assert "usable" in usable["output"]
