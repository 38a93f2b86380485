"""`agent-runtime batch --nats`: the runs of a batch are those of a queue."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.fleet.conftest import Fleet, tool_then_done
from tests.support.waiting import until

pytestmark = pytest.mark.long

Json = dict[str, Any]


def batch(fleet: Fleet, *options: str) -> subprocess.Popen[bytes]:
    return fleet.start("batch", "requests.ndjson", "--nats", fleet.nats.url, "--json", *options)


def write(fleet: Fleet, count: int, **fields: Any) -> None:
    rows = [{"prompt": "x", "env": {"NAME": f"r{n}"}, "metadata": n} | fields for n in range(count)]
    (fleet.folder / "requests.ndjson").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def results(fleet: Fleet) -> list[Json]:
    path = fleet.folder / "results.ndjson"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_batch_that_is_killed_with_its_runner_and_nats_runs_each_request_once(fleet: Fleet) -> None:
    command = 'echo x >> "$NAME"; mkdir first 2>/dev/null || until [ -e go ]; do sleep 0.05; done'
    fleet.model.script[:] = [tool_then_done(command)]
    write(fleet, 10)
    first = fleet.runner(lease=5)
    process = batch(fleet, "--retries", "9")
    until(lambda: len(results(fleet)) == 1 and len(acted(fleet)) == 5)  # its four runs wait
    fleet.runner()
    until(lambda: len(acted(fleet)) == 9)  # and so do those of the other one
    process.kill()
    fleet.nats.kill()
    fleet.nats.start()
    process = batch(fleet, "--retries", "9")
    first.kill()
    (fleet.workspace / "go").touch()
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, (out, fleet.log(process))
    found = results(fleet)
    assert sorted(result["line"] for result in found) == list(range(1, 11))
    assert {result["status"] for result in found} == {"completed"}
    attempts = {f"r{result['metadata']}": attempt(result) for result in found}
    assert all(1 <= count <= attempts[name] for name, count in acted(fleet).items()), (acted(fleet), attempts)
    # the four runs of the first runner failed with it, and were tried again
    assert sum(attempts.values()) >= 14


def acted(fleet: Fleet) -> dict[str, int]:
    """How often each request has acted."""
    return {path.name: path.read_text().count("x\n") for path in fleet.workspace.glob("r*")}


def attempt(result: Json) -> int:
    """The number of the attempt that a result is of: a retry is a run of its own."""
    return int(result["runId"].partition(".")[2] or 1)


def test_a_new_batch_of_the_same_requests_is_run_again(fleet: Fleet) -> None:
    fleet.model.script[:] = [tool_then_done('echo x >> "$NAME"')]
    write(fleet, 2)
    fleet.runner()
    for number, name in enumerate(("one", "two"), 1):
        process = batch(fleet, "-o", f"{name}.ndjson")
        assert process.wait(120) == 0, fleet.log(process)
        assert fleet.acted("r0") == "x\n" * number
