"""A run where the machine gives little: descriptors, memory, disk, a state directory, a reader, time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_runtime.engine.clock import FROZEN
from agent_runtime.testing.model_server import Fault, ModelServer, Turn
from agent_runtime.testing.runtime import COMMAND, Result, environment, full, result, run
from tests.support.runs import bash, start_run
from tests.support.waiting import until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")


def run_limited(server: ModelServer, workspace: Path, limit: str) -> Result:
    """Run with a limit, an option of prlimit(1)."""
    done = subprocess.run(
        ["prlimit", limit, *COMMAND, "run", "--workspace", str(workspace), "--prompt", "x"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment(server.environ("anthropic"), workspace.parent / "state"),
        timeout=120,
    )
    return result(done.stdout, done.returncode, done.stderr)


def test_a_run_works_with_64_file_descriptors(workspace: Path) -> None:
    script = [bash(f"echo {number} > f{number}; sleep 300 & true") for number in range(5)]
    with ModelServer([*script, Turn(text="ok")]) as server:
        done = run_limited(server, workspace, "--nofile=64")
    for process in done.complete["left"]:
        os.kill(process["pid"], signal.SIGKILL)
    assert (done.code, len(done.complete["files"]), len(done.complete["left"])) == (0, 5, 5)


def test_a_run_works_with_little_memory(workspace: Path) -> None:
    with ModelServer([bash("seq 2000000; seq 2000000 >&2"), Turn(text="ok")]) as server:
        done = run_limited(server, workspace, f"--data={256 << 20}")
    assert done.code == 0
    (answer,) = done.of("tool_result")
    assert answer["truncated"] and Path(answer["outputFile"]).stat().st_size > 20_000_000


def test_an_unwritable_state_directory_is_reported_and_the_run_continues(workspace: Path) -> None:
    with ModelServer([bash("seq 100000"), Turn(text="ok")]) as server:
        done = run({"prompt": "x", "stateDir": "/proc/nowhere"}, workspace, server.environ("anthropic"))
        assert done.code == 0
        assert [notice["code"] for notice in done.of("notice")] == ["state_dir_unwritable"]
        done = run(
            {"prompt": "x", "stateDir": "/proc/nowhere", "threadId": "t"},
            workspace,
            server.environ("anthropic"),
        )
        assert (done.code, done.of("error")[0]["details"]["field"]) == (2, "stateDir")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", path], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode()}")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


@needs_root
def test_a_full_disk_ends_the_recording_and_not_the_run(workspace: Path, small_disk: Path) -> None:
    script = [bash("seq 300000; echo end"), bash("seq 300000; echo end"), Turn(text="ok")]
    with ModelServer(script) as server:
        request = {
            "prompt": "x",
            "stateDir": str(small_disk / "state"),
            "record": str(small_disk / "t.ndjson"),
            "threadId": "t",
        }
        done = run(request, workspace, server.environ("anthropic"))
    assert (done.code, done.complete["output"]) == (0, "ok")
    assert all("end" in answer["output"] for answer in done.of("tool_result"))
    assert "recording_stopped" in [notice["code"] for notice in done.of("notice")]
    for line in (small_disk / "t.ndjson").read_text().splitlines():
        json.loads(line)


def test_a_slow_reader_gets_every_event_with_bounded_memory(workspace: Path) -> None:
    script = [bash("seq -f %0100.0f 3000") for _ in range(40)] + [Turn(text="ok")]
    reader, writer = os.pipe()
    with ModelServer(script) as server:
        process = start_run(server, workspace, "--partial", stdin=subprocess.PIPE, stdout=writer)
        os.close(writer)
        assert process.stdin
        process.stdin.write(json.dumps({"prompt": "x", "config": {"toolOutputTokens": 100_000}}).encode())
        process.stdin.close()
        data, most = bytearray(), 0
        with process:
            while piece := os.read(reader, 1 << 16):
                data += piece
                until(lambda: full(reader) or process.poll() is not None)
                most = max(most, _resident(process.pid))
            assert process.stderr
            stderr = process.stderr.read()
    os.close(reader)
    done = result(bytes(data), process.returncode, stderr)
    assert done.code == 0 and len(data) > 10_000_000  # compaction takes some turns of the script
    assert most < 350 << 20, f"{most >> 20} MB"


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    except (OSError, IndexError):
        return 0


@pytest.mark.timed
def test_a_suspended_run_continues_after_sigcont(workspace: Path) -> None:
    script = [Turn(text="half", fault=Fault(hang_after=3)), Turn(text="whole")]
    with ModelServer(script) as server:
        process = start_run(server, workspace, "--prompt", "x", "--timeout", str(FROZEN))
        with process:
            until(lambda: bool(server.requests) or process.poll() is not None)
            assert process.poll() is None
            process.send_signal(signal.SIGSTOP)
            time.sleep(FROZEN + 0.5)
            process.send_signal(signal.SIGCONT)
            stdout, stderr = process.communicate(timeout=60)
    done = result(stdout, process.returncode, stderr)
    assert (done.code, done.complete["output"]) == (0, "whole")
    assert [notice["code"] for notice in done.of("notice")] == ["thawed"]
    assert [error["retryable"] for error in done.of("error")] == [True]


@pytest.mark.parametrize(("closed", "code"), [("<&-", 0), ("2>&-", 0), ("<&- 2>&-", 0), (">&-", 74)], ids=str)
def test_closed_standard_descriptors_are_tolerated(closed: str, code: int, workspace: Path) -> None:
    """What is opened instead of them gets none of what is meant for them."""
    with ModelServer([bash("echo said; echo complained >&2"), Turn(text="ok")]) as server:
        done = subprocess.run(
            [
                *("sh", "-c", f'exec "$@" {closed}', "sh"),
                *(*COMMAND, "run", "--workspace", str(workspace), "--prompt", "x"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(server.environ("anthropic"), workspace.parent / "state"),
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (code, b"")
    if code == 0:
        assert result(done.stdout, code, b"").complete["output"] == "ok"


def test_an_unwritable_stdout_ends_the_run_like_a_closed_one(workspace: Path) -> None:
    with ModelServer([Turn(text="ok")]) as server, Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "run", "--workspace", str(workspace), "--prompt", "x"],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(server.environ("anthropic"), workspace.parent / "state"),
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (74, b"")
