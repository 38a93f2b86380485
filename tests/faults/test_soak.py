"""A thousand turns with random faults in one run: its memory, descriptors and processes do not grow with them."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import pytest

from agent_runtime.testing.model_server import Call, Fault, ModelServer, Request, Turn
from tests.cli.standby.conftest import Running
from tests.faults.standby_runs import StandbyRun, kill, request_for

TURNS = 1000 if os.environ.get("AGENT_RUNTIME_SLOW_TESTS") else 300
SETTLED = 100  # turns after which everything is loaded that will be
GROWTH = 9 << 20  # bytes
SMALL = "gpt-3.5"  # a model whose window is full after some dozens of turns: the history is summarised then
NOW = {"retry-after-ms": "1"}
EDIT = "str_replace_based_edit_tool"

FAULTS = [
    Fault(500, NOW),
    Fault(429, NOW),
    Fault(529, NOW),
    Fault(drop=True),
    Fault(cut_after=3),
    Fault(garbage=True),
    Fault(error_in_stream=True),
]
SESSIONS = 17  # more than may run at once: from here on each new one ends an old one
SESSION = Call("exec_command", {"cmd": "cat", "tty": True, "yield_time_ms": 1})
CALLS: list[Callable[[int], Call]] = [
    lambda n: Call("bash", {"command": f"echo {n}"}),
    lambda n: Call("bash", {"command": f"echo {n} > f{n % 7}; exit {n % 3}"}),
    lambda n: Call("bash", {"command": "seq 30000"}),
    lambda n: Call("bash", {"command": "sleep 0.1 & echo left"}),
    lambda n: Call("bash", {"command": "echo begun; sleep 9", "timeout": 0.05}),
    lambda n: Call("bash", {"command": "kill -9 $$"}),
    lambda n: Call("bash", {"command": "for i in 1 2 3; do (setsid true &); done"}),
    lambda n: Call(EDIT, {"command": "create", "path": f"made{n % 5}", "file_text": f"{n}\n" * 20}),
    lambda n: Call(EDIT, {"command": "str_replace", "path": "made1", "old_str": "none", "new_str": ""}),
    lambda n: Call(EDIT, {"command": "view", "path": "."}),
    lambda n: Call("exec_command", {"cmd": f"echo {n}"}),
    lambda _: SESSION,
    lambda n: Call("unknown", {}),
    lambda n: Call("bash", "{"),
]


@dataclass
class Soak:
    """Plays the model, and looks at the process at every turn."""

    random: random.Random = field(default_factory=lambda: random.Random(5))
    trial: StandbyRun | None = None
    turns: int = 0
    failures: int = 0
    summaries: int = 0
    memory: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    zombies: list[int] = field(default_factory=list)

    def __call__(self, request: Request) -> Turn:
        if not request.body.get("tools"):
            self.summaries += 1
            return Turn(text="a summary of what was done")
        if self.random.random() < 0.08:
            self.failures += 1
            return Turn(text="lost", fault=self.random.choice(FAULTS))
        self.turns += 1
        self._look()
        if self.turns > TURNS:
            return Turn(text="done")
        make = self.random.choices(CALLS, [8, 4, 1, 2, 1, 1, 2, 4, 2, 2, 3, 1, 1, 1])[0]
        call = SESSION if self.turns <= SESSIONS else make(self.turns)
        usage = {"input": len(json.dumps(request.body)) // 4, "output": 20}
        return Turn(text="so far so good", calls=[call], usage=usage)

    def _look(self) -> None:
        assert self.trial
        process = Path(f"/proc/{self.trial.pid}")
        self.memory.append(int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE"))
        self.descriptors.append(len(list((process / "fd").iterdir())))
        children = (process / f"task/{self.trial.pid}/children").read_text().split()
        self.zombies.append(sum(_is_zombie(int(pid)) for pid in children))


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


@pytest.mark.long
def test_a_thousand_turns_with_random_faults_leak_nothing(standby: Running, tmp_path: Path) -> None:
    soak = Soak()
    with ModelServer([soak], repeat_last=True) as server:
        tools = ["bash", EDIT, "exec_command", "write_stdin"]
        config = {"maxTurns": 2 * TURNS, "maxRetries": 10, "modelTimeout": 60, "toolOutputTokens": 500}
        at = {
            "provider": "custom",
            "endpoint": server.url,
            "apiKey": "k",
            "format": "anthropic",
            "name": SMALL,
        }
        request = request_for("anthropic", tools=tools, config=config, model=at)
        soak.trial = StandbyRun(standby, request, {}, tmp_path)
        try:
            done = soak.trial.end()
        finally:
            kill(soak.trial.started())  # its sessions go on
        assert server.violations == []
    assert (done.code, done.complete["output"], done.complete["iterations"]) == (0, "done", TURNS + 1)
    assert len(done.of("error")) == soak.failures  # each failed attempt was reported
    compacted = [notice for notice in done.of("notice") if notice["code"] == "context_compacted"]
    assert len(compacted) == soak.summaries > TURNS // 100
    first, last = slice(SETTLED - 50, SETTLED), slice(-50, None)
    assert median(soak.memory[last]) - median(soak.memory[first]) < GROWTH, soak.memory[::20]
    assert median(soak.descriptors[last]) <= median(soak.descriptors[first]), soak.descriptors[::20]
    assert max(soak.descriptors[last]) <= max(soak.descriptors[:SETTLED]) + 3, soak.descriptors[::20]
    # a zombie may be seen once; one that is never reaped would be seen each time
    assert median(soak.zombies[last]) == 0, soak.zombies
    print(f"RSS {[size >> 20 for size in soak.memory[::100]]} MB, descriptors {soak.descriptors[::100]}")
