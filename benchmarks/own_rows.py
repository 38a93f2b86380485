"""Rows of the table of runs.py that other programs have no counterpart of: standby, replay, the change tracker."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import anyio
from scripted_model import ScriptedModel
from tracking import plant, walk

from agent_runtime.changes.tracker import ChangeTracker

PROGRAM = [sys.executable, "-I", "-m", "agent_runtime"]
BURST = 50
FILES = 100_000
TURNS = 200


def own_rows() -> dict[str, Callable[[], float]]:
    """The rows, by their names."""
    return {
        "standby: request to first event (ms)": lambda: standby(1, "true")[0],
        "standby: PSS of each further run (MB)": standby_memory,
        f"standby: {BURST} runs at once, until all have ended (ms)": lambda: standby(BURST, "true")[1],
        f"replay of {TURNS} turns (ms)": replay,
        f"change tracker, {FILES:,} files: delay of `start` (ms)": lambda: tracker()[0],
        f"change tracker, {FILES:,} files: a call that changes nothing (ms)": lambda: tracker()[1],
    }


def environ(folder: Path, model: ScriptedModel) -> dict[str, str]:
    """The environment of a run on the model server."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "ANTHROPIC_BASE_URL": model.url,
        "ANTHROPIC_API_KEY": "sk-ant-loopback-0123456789",
        "AGENT_RUNTIME_MODEL": "anthropic:claude-sonnet-4-5",
    }


@contextmanager
def serving(command: str) -> Iterator[tuple[Path, int]]:
    """A standby: its socket, and its process. Every run calls `command` once."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="standby-")))
        (folder / "work").mkdir()
        model = stack.enter_context(ScriptedModel([command]))
        model.by_conversation = True
        path = folder / "socket"
        process = subprocess.Popen(
            [*PROGRAM, "standby", "--socket", str(path)],
            cwd=folder / "work",
            env=environ(folder, model),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while not answers(path):
                time.sleep(0.05)
            yield path, process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def answers(path: Path) -> bool:
    """Return whether the standby takes connections."""
    with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
        connection.connect(str(path))
        return True
    return False


def start(path: Path) -> socket.socket:
    """Start a run."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(120)
    connection.connect(str(path))
    connection.sendall(json.dumps({"prompt": "go"}).encode() + b"\n")
    return connection


def standby(count: int, command: str) -> tuple[float, float]:
    """Milliseconds from the requests to the median of their first events, and to the end of all runs."""
    with serving(command) as (path, _):
        with start(path) as first:
            first.makefile("rb").read()
        began = time.perf_counter()
        streams = [start(path).makefile("rb") for _ in range(count)]
        firsts = []
        for stream in streams:
            stream.readline()
            firsts.append(time.perf_counter() - began)
        ends = [json.loads(stream.read().splitlines()[-1]) for stream in streams]
        seconds = time.perf_counter() - began
    if [end["status"] for end in ends] != ["completed"] * count:
        raise RuntimeError("a run of the standby has not completed")
    return statistics.median(firsts) * 1e3, seconds * 1e3


def standby_memory(runs: int = 8) -> float:
    """Megabytes that each of several runs adds, while its tool waits."""
    with serving("sleep 3") as (path, pid):
        streams = [start(path).makefile("rb") for _ in range(runs)]
        for stream in streams:
            while b'"tool_call"' not in stream.readline():
                pass
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        sizes = [pss(int(child)) for child in children]
        for stream in streams:
            stream.read()
    return sum(sizes) / runs / 1024


def pss(pid: int) -> int:
    """The proportional set size of a process in kB."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return 0


def replay() -> float:
    """Milliseconds of a replay without tools."""
    with tempfile.TemporaryDirectory(prefix="replay-") as name, ScriptedModel(["true"] * TURNS) as model:
        folder = Path(name)
        (folder / "work").mkdir()
        transcript = folder / "run.ndjson"

        def run(arguments: Sequence[str]) -> float:
            began = time.perf_counter()
            subprocess.run(
                [*PROGRAM, *arguments],
                cwd=folder / "work",
                env=environ(folder, model),
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            return (time.perf_counter() - began) * 1e3

        run(["run", "--prompt", "go", "--max-turns", "1000", "--record", str(transcript)])
        return run(["replay", str(transcript), "--tools", "recorded"])


def tracker() -> tuple[float, float]:
    """Milliseconds by which the first look at a large tree delays `start`, and of a look after a call."""
    if not _tracked:
        with tempfile.TemporaryDirectory(prefix="tracker-") as name:
            tree = Path(name) / "tree"
            plant(tree, FILES)
            walk(tree)
            tracker = ChangeTracker(tree, diff_dir=Path(name) / "diffs")
            began = time.perf_counter()
            tracker.begin()
            delay = time.perf_counter() - began
            _tracked.append((delay * 1e3, anyio.run(_quiet, tracker) * 1e3))
    return _tracked[0]


_tracked: list[tuple[float, float]] = []  # planting the files takes longest: it is measured once


async def _quiet(tracker: ChangeTracker) -> float:
    await tracker.ready()
    seconds = []
    for _ in range(20):
        began = time.perf_counter()
        await tracker.scan(call_id="c")
        seconds.append(time.perf_counter() - began)
    await tracker.finish()
    return statistics.median(seconds)
