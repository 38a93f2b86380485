"""The states of the loop that a fault is let loose in: what the model has said before, and how a run gets there."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from agent_runtime.testing.model_server import Fault, ModelServer, Turn
from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.runtime import Result
from tests.cli.standby.conftest import Running
from tests.faults.standby_runs import KEYS, StandbyRun, pause_and_resume, request_for, resumed
from tests.support.formats import FORMATS
from tests.support.runs import bash

WORDS = f"refused for {KEYS[0]} or {KEYS[1]}"  # some providers repeat the key that they do not like
NOW = {"retry-after": "0"}
SERVER = "python3 -ISc \"import socket, time; s = socket.create_server(('', 0)); time.sleep(300)\""

STATES: dict[str, list[Turn]] = {
    "first-call": [],
    "between-tools": [bash("echo one")],
    "after-text": [Turn(text="what I say first " * 4, fault=Fault(cut_after=4))],
    "after-a-retry": [Turn(fault=Fault(429, NOW, message=WORDS))],
    "after-a-pause": [bash("until [ -e go ]; do sleep 0.02; done")],
    "with-a-server": [bash(f"setsid {SERVER} & echo left")],
    "with-a-thread": [bash("echo one")],
}


def in_turn(names: Collection[str], states: Collection[str]) -> list[tuple[str, str, WireFormat]]:
    """Each name in each state, the formats taking turns: so each name, and each state, meets each format too.

    With AGENT_RUNTIME_SLOW_TESTS all three formats for each pair.
    """
    everything = bool(os.environ.get("AGENT_RUNTIME_SLOW_TESTS"))
    return [
        (name, state, format)
        for row, name in enumerate(names)
        for column, state in enumerate(states)
        for turn, format in enumerate(FORMATS)
        if everything or turn == (row + column) % len(FORMATS)
    ]


def take(
    state: str, after: list[Turn], format: WireFormat, standby: Running, folder: Path, **fields: Any
) -> tuple[StandbyRun, Result]:
    """Bring a run into the state, let it meet what comes after, to its end. A thread is then taken up again."""
    before = STATES[state]
    retries = 1 + sum(turn.fault is not None for turn in before)
    config = {"maxRetries": retries} | fields.pop("config", {})
    if state == "with-a-thread":
        fields["threadId"] = "t"
    with ModelServer([*before, *after]) as server:
        request = request_for(format, config=config, partial=state == "after-text", **fields)
        trial = StandbyRun(standby, request, server.environ(format), folder)
        if state == "after-a-pause":
            pause_and_resume(trial)
        done = trial.end()
        assert server.violations == []
        assert len(server.requests) == len(before) + len(after)
    if state == "with-a-thread":
        assert "one" in json.dumps(resumed(standby, format, "t", folder))
    return trial, done
