"""Programs that the runtime starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent_runtime.system import spawn as module
from agent_runtime.system.spawn import spawn

REPO = Path(__file__).resolve().parents[2]
OWN = int(Path("/proc/self/oom_score_adj").read_text())


@pytest.mark.parametrize("adjustment", [500, 5_000])
def test_when_memory_is_short_the_program_is_killed_before_the_runtime(
    adjustment: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "_OOM_ADJUSTMENT", adjustment)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with Path(os.devnull).open("r+b") as null:
        started = spawn(
            ["cat"],
            cwd=tmp_path,
            env=dict(os.environ),
            stdin=reading,
            stdout=null.fileno(),
            stderr=null.fileno(),
        )
    adjusted = int(Path(f"/proc/{started.pid}/oom_score_adj").read_text())
    os.close(reading)
    os.close(writing)
    assert started.wait(60) == 0
    assert adjusted == min(OWN + adjustment, 1_000)
    assert int(Path("/proc/self/oom_score_adj").read_text()) == OWN


@pytest.mark.parametrize(
    "path", ["empty:good", "folder:good:other", "text:good", "good:other", "empty:other"]
)
@pytest.mark.parametrize("is_relative", [False, True])
def test_a_program_is_found_as_a_shell_finds_it(tmp_path: Path, path: str, is_relative: bool) -> None:
    for folder in ("empty", "folder/say", "text", "good", "other"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "text/say").write_text("#!/bin/sh\necho text")
    for name in ("good", "other"):
        (tmp_path / name / "say").write_text(f"#!/bin/sh\necho {name}")
        (tmp_path / name / "say").chmod(0o755)
    folders = path.split(":") if is_relative else [str(tmp_path / folder) for folder in path.split(":")]
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with Path(os.devnull).open("r+b") as null, os.fdopen(reading) as output:
        started = spawn(
            ["say"],
            cwd=tmp_path,
            env={"PATH": ":".join(folders)},
            stdin=null.fileno(),
            stdout=writing,
            stderr=null.fileno(),
        )
        os.close(writing)
        assert output.read() == ("other\n" if "good" not in path else "good\n")
    assert started.wait(60) == 0


@pytest.mark.parametrize("env", [{}, {"PATH": ""}, {"PATH": "/nonexistent"}, {"PATH": "/nonexistent:"}])
def test_a_program_that_is_not_there_is_an_error(env: dict[str, str]) -> None:
    with Path(os.devnull).open("r+b") as null, pytest.raises(FileNotFoundError, match="no-such-program"):
        spawn(["no-such-program"], cwd="/", env=env, stdin=null.fileno(), stdout=2, stderr=2)


HARDENED = """
import os, pathlib, subprocess, sys
from agent_runtime.system.hardening import harden
from agent_runtime.system.spawn import spawn

if os.getuid() == 0:
    os.setuid(65534)
harden([])
for _ in range(20):
    reading, writing = os.pipe2(os.O_CLOEXEC)
    started = spawn(["cat"], cwd="/", env={"PATH": os.defpath}, stdin=reading, stdout=1, stderr=2)
    print(pathlib.Path(f"/proc/{started.pid}/oom_score_adj").read_text(), end="")
    os.close(reading)
    os.close(writing)
    started.wait()
"""


def test_a_hardened_runtime_without_privileges_adjusts_every_program() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HARDENED], capture_output=True, text=True, cwd=REPO, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert {int(line) for line in done.stdout.split()} == {min(OWN + 500, 1_000)}
