"""`agent-runtime batch --nats`: the runs of a batch are those of a queue."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.fleet.conftest import Fleet, tool_then_done
from tests.support.waiting import until

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
    fleet.model.script[:] = [tool_then_done('echo x >> "$NAME"; sleep 0.1')]
    write(fleet, 24)
    first = fleet.runner()
    fleet.runner()
    process = batch(fleet)
    for count in (4, 10):
        until(lambda: len(results(fleet)) >= count)  # noqa: B023 - used at once
        process.kill()
        fleet.nats.kill()
        fleet.nats.start()
        process = batch(fleet)
    until(lambda: len(results(fleet)) >= 14)
    first.kill()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, (out, fleet.log(process))
    found = results(fleet)
    assert sorted(result["line"] for result in found) == list(range(1, 25))
    assert {result["status"] for result in found} == {"completed"}
    retries = json.loads(out)["retries"]
    acted = [fleet.acted(f"r{number}") for number in range(24)]
    assert set(acted) <= {"x\n", "x\nx\n"} and acted.count("x\nx\n") <= retries  # a retry is a run of its own
    until(lambda: fleet.nats.work_left() == 0)


def test_a_new_batch_of_the_same_requests_is_run_again(fleet: Fleet) -> None:
    fleet.model.script[:] = [tool_then_done('echo x >> "$NAME"')]
    write(fleet, 2)
    fleet.runner()
    for number, name in enumerate(("one", "two"), 1):
        process = batch(fleet, "-o", f"{name}.ndjson")
        assert process.wait(60) == 0, fleet.log(process)
        assert fleet.acted("r0") == "x\n" * number
