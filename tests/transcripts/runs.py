"""Records and replays runs of the real program against a scripted model."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.runtime import COMMAND, Result, environment, parse, result, run


def replay(transcript: Path, *options: str, cwd: Path | None = None, check: bool = True) -> Result:
    """`agent-runtime replay`, without any key."""
    done = subprocess.run(
        [*COMMAND, "replay", str(transcript), *options],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env=environment({}, transcript.parent / "replay.state"),
        cwd=cwd or transcript.parent,
        timeout=60,
        check=False,
    )
    if check:
        return result(done.stdout, done.returncode, done.stderr)
    return Result(parse(done.stdout), done.returncode, done.stderr.decode())


def record(folder: Path, script: Sequence[Turn], format: WireFormat = "anthropic", *options: str) -> Result:
    """A run of the script in `folder`/live, its transcript in `folder`/t.ndjson."""
    workspace = folder / "live"
    workspace.mkdir()
    with ModelServer(script) as server:
        request = {"prompt": "go", "config": {"maxTurns": 300}}
        options = ("--record", str(folder / "t.ndjson"), *options)
        done = run(request, workspace, server.environ(format), options)
        assert server.violations == []
    return done


def tree(folder: Path) -> dict[str, bytes]:
    """Every file and what is in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
