"""SIGKILL at random moments: the thread can be continued, and the model learns that the call was interrupted."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from agent_runtime.conversation.tool_pairs import INTERRUPTED
from agent_runtime.testing.model_server import Fault, ModelServer, Turn
from agent_runtime.testing.model_streams import WireFormat
from tests.cli.standby.conftest import Running
from tests.faults.standby_runs import StandbyRun, request_for, resumed
from tests.support.formats import FORMATS
from tests.support.runs import bash
from tests.support.waiting import until

KILLS = 8  # of each format
STEPS = 40  # of a run, which then waits for the model
MOMENTS = 0.6  # seconds from the first call on, in which it is killed


def step(number: int) -> Turn:
    command = f"echo call-{number} >> log; sleep 0.0{number % 4}; echo done-{number}"
    return bash(command)


@pytest.mark.parametrize("format", FORMATS)
def test_a_killed_run_can_be_continued_at_any_moment(
    format: WireFormat, standby: Running, tmp_path: Path
) -> None:
    rng, cut = random.Random(f"kill {format}"), 0
    for number in range(KILLS):
        folder = tmp_path / str(number)
        folder.mkdir()
        steps = (
            [bash("echo call-0 >> log; touch here; sleep 300")] if number == 1 else map(step, range(STEPS))
        )
        with ModelServer([*steps, Turn(fault=Fault(black_hole=True))]) as server:
            request = request_for(format, threadId="t", prompt="the task")
            trial = StandbyRun(standby, request, server.environ(format), folder)
            if number == 1:  # certainly in the middle of a call
                until((trial.workspace / "here").exists)
            elif number:  # the first before there is any call
                trial.until("tool_call")
                time.sleep(rng.uniform(0, MOMENTS))
            trial.kill()
            assert server.violations == []
        cut += check(resumed(standby, format, "t", folder), trial.workspace / "log")
    assert cut  # at least the second was killed in the middle of a call


def check(messages: list[object], log: Path) -> int:
    """How many calls were cut. Whatever was done is in the history, and what is not known to be done is not claimed."""
    history = [json.dumps(message) for message in messages]
    assert any("the task" in text for text in history) or len(history) == 1
    assert "and now?" in history[-1]
    done = log.read_text().split() if log.exists() else []
    results = [text for text in history if "log;" not in text]
    for number, line in enumerate(done):
        assert line == f"call-{number}"
        assert any(f"echo {line} >>" in text for text in history), (line, history)
        reported = any(f"done-{number}" in text for text in results)
        assert reported or (number >= len(done) - 1 and INTERRUPTED in "".join(results))
    interrupted = "".join(results).count(INTERRUPTED)
    assert interrupted <= 1
    return interrupted
