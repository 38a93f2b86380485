"""What came from outside while a run was recorded comes again at the same place of its replay."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.errors import ExitCode
from agent_runtime.testing.model_server import Fault, ModelServer, Request, Scripted, Turn
from agent_runtime.testing.runtime import COMMAND, Result, environment, result
from tests.support import waiting
from tests.transcripts.runs import record, replay

SLEEPS = Turn(
    text="wait", calls=[("bash", {"command": "echo begun; sleep 600"}), ("bash", {"command": "echo two"})]
)


def steered(folder: Path, script: Sequence[Scripted], *, until: str, then: dict[str, Any]) -> Result:
    """A recorded run that is sent a control message once an event of type `until` has come.

    When the message is recorded, the file `go` is made: what holds the run until then waits for it.
    """
    (folder / "live").mkdir()
    with ModelServer(script) as server:
        options = ["--workspace", str(folder / "live"), "--record", str(folder / "t.ndjson"), "--partial"]
        process = subprocess.Popen(
            [*COMMAND, "run", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(server.environ("anthropic"), folder / "state"),
        )
        assert process.stdin and process.stdout and process.stderr
        watchdog = threading.Timer(120, process.kill)
        watchdog.start()
        process.stdin.write(b'{"prompt":"go"}\n')
        process.stdin.flush()
        lines: list[bytes] = []
        for line in process.stdout:
            lines.append(line)
            if json.loads(line)["type"] == until and then:
                waiting.until(lambda: bool(server.requests))
                process.stdin.write(json.dumps(then).encode() + b"\n")
                process.stdin.flush()
                action = f'"action":"{then["action"]}"'
                waiting.until(lambda: action in (folder / "t.ndjson").read_text())  # noqa: B023 - used at once
                (folder / "go").touch()
                then = {}
        watchdog.cancel()
        with process:
            return result(b"".join(lines), process.wait(), process.stderr.read())


def same_again(folder: Path, live: Result) -> None:
    """The same with recorded and with real tools; deltas are a matter of timing."""
    (folder / "new").mkdir()
    for options in (("--tools", "recorded"), ("--workspace", str(folder / "new"))):
        again = replay(folder / "t.ndjson", *options, "--verify")
        assert (again.code, again.stderr) == (live.code, "")
        assert again.complete["stopReason"] == live.complete["stopReason"]


def test_a_message_to_the_model_is_replayed(tmp_path: Path) -> None:
    script = [
        Turn(text="one", calls=[("bash", {"command": f"until [ -e {tmp_path}/go ]; do sleep 0.05; done"})]),
        Turn(text="two", calls=[("bash", {"command": "true"})]),
        Turn(text="the end"),
    ]
    live = steered(tmp_path, script, until="tool_call", then={"action": "input", "text": "faster"})
    assert live.code == 0
    same_again(tmp_path, live)
    assert '"text":"faster"' in (tmp_path / "t.ndjson").read_text()


def test_a_message_after_the_last_answer_is_replayed(tmp_path: Path) -> None:
    def held(request: Request) -> Turn:
        waiting.until((tmp_path / "go").exists)
        return Turn(text="word " * 200)

    script: list[Scripted] = [held, Turn(text="the end")]
    live = steered(tmp_path, script, until="start", then={"action": "input", "text": "go on"})
    assert (live.code, live.complete["iterations"]) == (0, 2)
    same_again(tmp_path, live)


@pytest.mark.parametrize("until", ["tool_output_delta", "text_delta"])
def test_a_cancel_in_a_tool_or_a_model_call_is_replayed(tmp_path: Path, until: str) -> None:
    slow = Turn(text="word " * 50, fault=Fault(hang_after=4))
    live = steered(
        tmp_path, [SLEEPS if until.startswith("tool") else slow], until=until, then={"action": "cancel"}
    )
    assert (live.code, live.complete["status"]) == (130, "cancelled")
    same_again(tmp_path, live)


def test_a_deadline_is_replayed(tmp_path: Path) -> None:
    live = record(tmp_path, [SLEEPS], "anthropic", "--timeout", "2")
    assert (live.code, live.complete["stopReason"]) == (3, "timeout")
    same_again(tmp_path, live)


@pytest.mark.parametrize(
    "arguments",
    [["run", "--prompt", "x"], ["replay", "x"], ["demo"], ["schema"], ["doctor"]],
    ids=lambda a: a[0],
)
def test_a_closed_stdout_ends_every_command_with_its_exit_code(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", 'exec "$@" >&-', "bash", *COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment({}, tmp_path),
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (ExitCode.STDOUT_CLOSED, b"")
