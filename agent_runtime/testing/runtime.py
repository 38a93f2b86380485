"""Launches the program, and checks every event stream for the properties that the documentation promises."""

from __future__ import annotations

import itertools
import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from agent_runtime.shell.login_environment import SWITCH as LOGIN_FILES

COMMAND = (sys.executable, "-I", "-m", "agent_runtime")
LINE_LIMIT = 1 << 20

Json = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """The events, exit status and stderr of a run."""

    events: list[Json]
    code: int
    stderr: str

    def of(self, kind: str) -> list[Json]:
        """Return the events of a type."""
        return [event for event in self.events if event["type"] == kind]

    @property
    def complete(self) -> Json:
        """The last event."""
        return self.events[-1]


def environment(extra: Mapping[str, str], state: Path) -> dict[str, str]:
    """Return an environment without the API keys and login files of this machine, with a state directory."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    own = {"XDG_STATE_HOME": str(state), "PYTHONDONTWRITEBYTECODE": "1", LOGIN_FILES: "0"}
    return kept | own | dict(extra)


def run(
    request: Json | str | bytes,
    workspace: Path,
    environ: Mapping[str, str],
    options: Sequence[str] = (),
    *,
    seconds: float = 60,
) -> Result:
    """Execute `agent-runtime run` on one request, and check its event stream."""
    state = workspace.parent / f"{workspace.name}.state"
    text = request if isinstance(request, bytes | str) else json.dumps(request)
    done = subprocess.run(
        [*COMMAND, "run", "--workspace", str(workspace), *options],
        input=text.encode() if isinstance(text, str) else text,
        capture_output=True,
        env=environment(environ, state),
        cwd=workspace.parent,
        timeout=seconds,
        check=False,
    )
    return result(done.stdout, done.returncode, done.stderr)


def catches(pid: int, number: int) -> bool:
    """Return whether a process has a handler for a signal."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(fields["SigCgt"], 16) >> (number - 1) & 1)


def full(reader: int) -> bool:
    """Return whether the pipe with this read end is full."""
    writer = os.open(f"/proc/self/fd/{reader}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        poll = select.poll()
        poll.register(writer, select.POLLOUT)
        return not poll.poll(0)
    finally:
        os.close(writer)


def result(stdout: bytes, code: int, stderr: bytes) -> Result:
    """Parse and check the output of a run. Raises AssertionError."""
    events = parse(stdout)
    check(events, code)
    assert b"Traceback" not in stderr, stderr.decode(errors="replace")
    return Result(events, code, stderr.decode(errors="replace"))


def parse(stdout: bytes) -> list[Json]:
    """Parse the events. Raises AssertionError unless they are complete lines of UTF-8 JSON below the size limit."""
    assert stdout.endswith(b"\n"), stdout[-200:]
    lines = stdout.decode().splitlines()
    assert len(lines) == stdout.count(b"\n")  # no U+2028 or the like inside a line
    assert max(len(line) for line in stdout.split(b"\n")) < LINE_LIMIT
    return [json.loads(line) for line in lines]


def check(events: list[Json], code: int) -> None:
    """Check the properties of every event stream. Raises AssertionError."""
    assert [event["seq"] for event in events] == list(range(len(events)))
    for before, event in itertools.pairwise(events):
        assert event["runId"] == before["runId"] or event.get("code") == "thawed", event
    for event in events:
        assert event["ts"].endswith("Z") and datetime.fromisoformat(event["ts"]), event["ts"]
    kinds = [event["type"] for event in events]
    assert kinds.count("complete") == 1 and kinds[-1] == "complete"
    assert kinds.count("start") == (0 if code == 2 and "start" not in kinds else 1)
    assert "start" not in kinds or kinds[0] == "start"
    calls = [event["id"] for event in events if event["type"] == "tool_call"]
    results = [event["id"] for event in events if event["type"] == "tool_result"]
    assert sorted(calls) == sorted(results)
    _check_order(events)
    complete = events[-1]
    assert (complete["status"] == "completed") == (complete["stopReason"] == "end_turn")
    codes = {"completed": {0}, "failed": {1, 2, 3, 4}, "cancelled": {74, 130, 143}, "waiting": {5}}
    expected = codes[complete["status"]]
    assert code in expected, (code, complete)
    assert complete["output"] == complete["result"]
    used = [event for event in events if event["type"] == "usage"]
    for name in ("inputTokens", "outputTokens", "totalTokens", "cachedInputTokens", "reasoningTokens"):
        assert complete["usage"][name] == sum(event[name] for event in used)


def _check_order(events: list[Json]) -> None:
    at = {event["id"]: event["seq"] for event in events if event["type"] == "tool_result"}
    started = {event["id"]: event["seq"] for event in events if event["type"] == "tool_call"}
    assert all(started[id] < seq for id, seq in at.items())
    for event in events:
        if event["type"] == "file_edit" and "toolCallId" in event:
            assert started[event["toolCallId"]] < event["seq"] < at[event["toolCallId"]]
