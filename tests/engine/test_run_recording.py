"""The recording of a run that cannot be written does not end the run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from agent_runtime.engine.run_recording import RunRecording
from agent_runtime.output.event_writer import RecordingStopped
from agent_runtime.output.masking import Masker


class FullDisk:
    """A recorder that fails once, as the real one."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def event(self, line: str) -> None:
        self.lines.append(line)
        if len(self.lines) == 1:
            raise RecordingStopped("no space left")


def test_a_failure_while_early_events_are_recorded_is_reported_with_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SimpleNamespace(request=SimpleNamespace(record=None, no_record=False))
    monkeypatch.setattr(RunRecording, "_start", lambda *_: FullDisk())
    recording = RunRecording(
        config,  # type: ignore[arg-type]
        history=None,  # type: ignore[arg-type]
        mask=Masker(()),
        run_dir=tmp_path,
        may_keep=True,
    )
    recording.line("start")
    recording.keep()
    with pytest.raises(RecordingStopped):
        recording.line("second")
    recording.line("third")
