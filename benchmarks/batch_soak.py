"""A batch that is killed several times and resumed, beside the same batch left alone.

    python benchmarks/batch_soak.py --runs 500 --kills 5

Checked at the end: both results files have one `complete` for each request, and are the same but for times, run ids
and order; no run has acted twice. Printed: the seconds of both.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from agent_runtime.testing.model_server import ModelServer, Request, Turn
from agent_runtime.testing.runtime import COMMAND, environment

_VARYING = ("ts", "durationMs", "runId", "threadId")


def turn(request: Request) -> Turn:
    """One command, then an answer that names the request."""
    messages = request.body["messages"]
    if messages[-1]["role"] == "user" and isinstance(messages[-1]["content"], list):
        last = messages[-1]["content"][-1]
        if last["type"] == "tool_result":
            return Turn(text=f"done: {last['content']}")
    return Turn(calls=[("bash", {"command": 'echo x >> "$NAME"; echo "$NAME"'})])


class Batch:
    """A batch in a folder of its own.

    Args:
        folder: for its requests, results, workspace and state; created.
        model: that its runs call.
        runs: the number of requests.
    """

    def __init__(self, folder: Path, model: ModelServer, runs: int) -> None:
        self.folder, self._model = folder, model
        rows = []
        for n in range(runs):
            (folder / f"w{n}").mkdir(parents=True)
            rows.append(
                {"prompt": f"p{n}", "workspace": f"w{n}", "env": {"NAME": f"r{n}"}, "metadata": {"n": n}}
            )
        (folder / "requests.ndjson").write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    def start(self) -> subprocess.Popen[bytes]:
        """Start it, or resume it."""
        options = ["--state-dir", str(self.folder / "state"), "--json"]
        return subprocess.Popen(
            [*COMMAND, "batch", "requests.ndjson", *options],
            cwd=self.folder,
            env=environment(self._model.environ("anthropic"), self.folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def results(self) -> list[dict[str, Any]]:
        """The results that there are by now, without what differs from run to run."""
        path = self.folder / "results.ndjson"
        lines = path.read_text().splitlines() if path.exists() else []
        found = [json.loads(line) for line in lines]
        return sorted(
            (
                {k: v for k, v in result.items() if k not in _VARYING}
                | {"files": [Path(file).name for file in result["files"]]}
                for result in found
            ),
            key=lambda result: int(result["line"]),
        )

    def acted(self) -> dict[str, str]:
        """What each run has written."""
        return {path.name: path.read_text() for path in self.folder.glob("w*/r*")}


def finish(batch: Batch) -> None:
    """Wait for the end. Raises AssertionError when it fails."""
    process = batch.start()
    output, _ = process.communicate()
    assert process.returncode == 0, output.decode()


def disturbed(batch: Batch, runs: int, kills: int, seed: int) -> None:
    """Kill the batch at random numbers of results, and resume it."""
    chance = random.Random(seed)
    process = batch.start()
    for count in sorted(chance.sample(range(1, runs * 9 // 10), kills)):
        while len(batch.results()) < count:
            assert process.poll() is None, "the batch has ended too early"
            time.sleep(0.05)
        process.kill()
        process.communicate()
        print(f"killed at {len(batch.results())} results", flush=True)
        process = batch.start()
    output, _ = process.communicate()
    assert process.returncode == 0, output.decode()


def main() -> None:
    """Run both batches and compare them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=500)
    options.add_argument("--kills", type=int, default=5)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    folder = Path(mkdtemp(prefix="batch-soak-"))
    with ModelServer([turn], repeat_last=True) as model:
        alone, killed = (Batch(folder / name, model, given.runs) for name in ("alone", "killed"))
        began = time.monotonic()
        finish(alone)
        middle = time.monotonic()
        disturbed(killed, given.runs, given.kills, given.seed)
        ended = time.monotonic()
    expected = {f"r{n}": "x\n" for n in range(given.runs)}
    assert alone.acted() == expected
    twice = {name: text for name, text in killed.acted().items() if text != expected[name]}
    assert not twice and killed.acted().keys() == expected.keys(), twice
    assert [result["line"] for result in killed.results()] == list(range(1, given.runs + 1))
    assert killed.results() == alone.results()
    print(
        f"{given.runs} runs, killed {given.kills} times: the same results; "
        f"{ended - middle:.0f} s, undisturbed {middle - began:.0f} s"
    )
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
