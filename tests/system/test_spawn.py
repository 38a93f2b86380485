"""Programs that the runtime starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent_runtime.system import spawn as module
from agent_runtime.system.spawn import spawn

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
