"""`agent-runtime demo`: replays a bundled recording with real tools in a temporary folder, offline."""

from __future__ import annotations

import argparse
import math
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from agent_runtime.cli.replay import play, replan, reported
from agent_runtime.cli.run import formatted
from agent_runtime.engine.replay import Replay
from agent_runtime.engine.signals import SignalHandler
from agent_runtime.errors import RequestError
from agent_runtime.transcripts.reader import read

RECORDING = Path(__file__).parents[1] / "data" / "demo.ndjson"
PORT = 8420  # the port of the recorded app
GRACE = 2.0  # seconds between SIGTERM and SIGKILL for what the demo started


def demo_command(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    folder = Path(tempfile.mkdtemp(prefix="agent-runtime-demo-")).resolve()
    workspace = folder / "reading-time"
    try:
        workspace.mkdir()
        return reported(partial(_demo, arguments, workspace), arguments.format)
    finally:
        stop_processes(workspace)
        if arguments.keep:
            print(f"kept: {workspace}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _demo(arguments: argparse.Namespace, workspace: Path, out: int, signals: SignalHandler) -> int:
    transcript = read(RECORDING)
    record = str(Path(arguments.record).absolute()) if arguments.record else None
    overrides = {"stateDir": str(workspace.parent / "state"), "record": record, "format": arguments.format}
    config = replan(transcript, str(workspace), overrides, {}, recorded_tools=False)
    port = free_port(PORT)
    watched = arguments.format == "pretty" or (arguments.format is None and os.isatty(out))
    signals.hold()
    with formatted(arguments.format, out) as stream:
        replay = Replay(
            transcript,
            recorded_tools=False,
            speed=1.0 if watched else math.inf,
            change=lambda text: re.sub(rf"\b{PORT}\b", str(port), text),
        )
        return play(replay, config, stream, signals)


def free_port(wanted: int) -> int:
    """Return `wanted`, or another free port when it is in use. Raises RequestError."""
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise RequestError("", "expected a free port on 127.0.0.1")


def stop_processes(folder: Path) -> None:
    """End every process whose working directory is in `folder`."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in _working_in(folder):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        deadline = time.monotonic() + GRACE
        while _working_in(folder) and time.monotonic() < deadline:
            time.sleep(0.01)  # the end of a process that is not a child cannot be awaited


def _working_in(folder: Path) -> list[int]:
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            with suppress(OSError):
                if (process / "cwd").readlink().is_relative_to(folder):
                    found.append(int(process.name))
    return found
