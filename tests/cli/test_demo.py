from __future__ import annotations

import json
import os
import pty
import re
import socket
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_runtime.cli.demo import PORT, RECORDING
from agent_runtime.cli.replay import replan
from agent_runtime.errors import RequestError, TranscriptError
from agent_runtime.testing.runtime import COMMAND, Result, environment, result
from agent_runtime.transcripts.reader import read
from tests.support.waiting import until
from tests.transcripts.test_reader import JSON

SECONDS = 10.0


def demo(folder: Path, *options: str) -> tuple[Result, float]:
    """The demo in a pipe; its temporary folder is made below `folder`."""
    began = time.monotonic()
    done = subprocess.run(
        [*COMMAND, "demo", *options],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env=environment({"TMPDIR": str(folder)}, folder / "state"),
        timeout=60,
        check=False,
    )
    return result(done.stdout, done.returncode, done.stderr), time.monotonic() - began


def binds(taken: socket.socket) -> bool:
    try:
        taken.bind(("127.0.0.1", PORT))
    except OSError:
        return False
    return True


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}/exe").exists()


@pytest.mark.timed
def test_the_demo_writes_a_complete_run_to_a_pipe(tmp_path: Path) -> None:
    done, took = demo(tmp_path)
    assert (done.code, done.stderr, done.complete["status"]) == (0, "", "completed")
    assert took < SECONDS
    failed, passed = (event for event in done.of("tool_result") if "-m unittest" in str(call_of(done, event)))
    assert (failed["isError"], passed["isError"]) == (True, False)
    assert {event["action"] for event in done.of("file_edit")} == {"create", "modify"}
    port = done.of("dev_url")[0]["port"]
    assert str(port) in done.complete["output"] and str(port) in done.complete["devUrl"]
    assert "<b>2 min</b>" in done.of("tool_result")[-1]["output"]
    # no process of the demo is left
    assert done.complete["left"] == [] and [each["port"] for each in done.complete["ended"]] == [port]
    assert not lives(done.complete["ended"][0]["pid"])
    assert list(tmp_path.glob("agent-runtime-demo-*")) == []


def call_of(done: Result, event: dict[str, object]) -> object:
    return next(call["input"] for call in done.of("tool_call") if call["id"] == event["id"])


def test_the_demo_takes_another_port_and_keeps_its_files(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        until(lambda: binds(taken))  # the demo of another test may use the port
        taken.listen()
        done, _ = demo(tmp_path, "--keep", "--record", str(tmp_path / "again.ndjson"))
    assert done.code == 0
    port = done.of("dev_url")[0]["port"]
    assert port != PORT
    assert f"http://127.0.0.1:{port}" in done.complete["output"]
    kept = Path(done.stderr.removeprefix("kept: ").strip())
    assert sorted(path.name for path in kept.iterdir()) == ["app.py", "reading.py", "test_reading.py"]
    assert not lives(done.complete["ended"][0]["pid"])
    assert read(tmp_path / "again.ndjson").events == done.events


def test_the_demo_is_readable_on_a_terminal(tmp_path: Path) -> None:
    # in a terminal of 80 columns, with the recorded pace
    master, terminal = pty.openpty()
    environ = environment({"TERM": "xterm-256color", "TMPDIR": str(tmp_path)}, tmp_path / "state")
    child = subprocess.Popen(
        [*COMMAND, "demo"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environ,
        start_new_session=True,
    )
    os.close(terminal)
    data = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        data += piece
    os.close(master)
    assert child.wait(60) == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", data.decode())
    for said in (
        "▶ bash  python3 -B -m unittest -v",
        "FAILED (failures=1)",
        "✓ exit 0",
        "server up at",
        "completed in",
    ):
        assert said in text
    assert max(len(line) for line in text.splitlines()) <= 80
    # added text is green, and so is its line
    assert re.search(r"\x1b\[32m +\d+ \+WORDS_PER_MINUTE", data.decode())


def test_the_demo_replays_identically_in_another_folder(tmp_path: Path) -> None:
    command = [*COMMAND, "replay", str(RECORDING), "--tools", "recorded", "--verify"]
    done = subprocess.run(
        command, capture_output=True, env=environment({}, tmp_path), cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert str(Path(__file__).parents[2]) not in RECORDING.read_text()
    assert not re.search(r"/root|/home", RECORDING.read_text())


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_request_is_named(tmp_path: Path, data: st.DataObject) -> None:
    lines = RECORDING.read_text().splitlines(keepends=True)
    record = json.loads(lines[1])
    place = record[data.draw(st.sampled_from(["request", "resolved"]))]
    for _ in range(data.draw(st.integers(0, 3))):
        key = data.draw(st.sampled_from(sorted(place))) if isinstance(place, dict) and place else None
        if key is None or not isinstance(place[key], dict):
            break
        place = place[key]
    if isinstance(place, dict) and place:
        place[data.draw(st.sampled_from([*sorted(place), "new"]))] = data.draw(JSON)
    (tmp_path / "t").write_text(lines[0] + json.dumps(record) + "\n")
    transcript = read(tmp_path / "t")
    for recorded in (True, False):
        try:
            replan(transcript, str(tmp_path), {}, {}, recorded_tools=recorded)
        except (TranscriptError, RequestError) as error:
            assert str(error)
