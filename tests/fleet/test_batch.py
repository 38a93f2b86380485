"""`agent-runtime batch`: results for all requests, also when it is killed and resumed."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.testing.model_server import Fault, ModelServer, Request, Turn
from agent_runtime.testing.runtime import COMMAND, environment
from tests.support.waiting import until

Json = dict[str, Any]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def model() -> Iterator[ModelServer]:
    server = ModelServer([Turn(text="done")], repeat_last=True).start()
    yield server
    server.close()


@pytest.fixture
def start(model: ModelServer, tmp_path: Path) -> Start:
    """Starts the command in a folder of its own; `requests.ndjson` is read, and `results.ndjson` written there."""
    (tmp_path / "workspace").mkdir()

    def execute(*options: str, requests: list[Json] | None = None, text: str = "") -> subprocess.Popen[str]:
        if requests is not None or text:
            lines = text or "".join(f"{json.dumps(request)}\n" for request in requests or [])
            (tmp_path / "requests.ndjson").write_text(lines)
        paths = ["--workspace", "workspace", "--state-dir", str(tmp_path / "state")]
        return subprocess.Popen(
            [*COMMAND, "batch", "requests.ndjson", *paths, *options],
            cwd=tmp_path,
            env=environment(model.environ("anthropic"), tmp_path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return execute


def ended(process: subprocess.Popen[str], code: int) -> tuple[str, str]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, (out, err)
    return out, err


def results(folder: Path) -> list[Json]:
    return [json.loads(line) for line in (folder / "results.ndjson").read_text().splitlines()]


def requests(count: int) -> list[Json]:
    return [{"prompt": f"p{number}", "metadata": {"n": number}} for number in range(1, count + 1)]


def test_every_request_has_a_result(start: Start, tmp_path: Path) -> None:
    out, _ = ended(start("--json", requests=requests(6)), 0)
    summary = json.loads(out)
    assert (summary["requests"], summary["results"], summary["statuses"]) == (6, 6, {"completed": 6})
    assert summary["inputTokens"] > 0
    found = results(tmp_path)
    assert sorted(result["line"] for result in found) == list(range(1, 7))
    assert all(result["metadata"] == {"n": result["line"]} for result in found)
    assert all((result["type"], result["output"]) == ("complete", "done") for result in found)


def test_a_result_is_one_line_whatever_it_contains(start: Start, model: ModelServer, tmp_path: Path) -> None:
    text = "a\u2028b\u2029c\u0085d\x0be \ud800"
    model.script[:] = [Turn(text=text)]
    ended(start(requests=requests(1)), 0)
    # str.splitlines splits at these characters too
    lines = (tmp_path / "results.ndjson").read_text().splitlines()
    assert len(lines) == 1 and json.loads(lines[0])["output"].startswith("a\u2028b\u2029c\u0085d")


def test_a_finished_batch_runs_nothing_again(start: Start, model: ModelServer, tmp_path: Path) -> None:
    ended(start(requests=requests(2)), 0)
    before, sent = results(tmp_path), len(model.requests)
    out, _ = ended(start(), 0)
    assert "2 of 2 requests" in out
    assert (results(tmp_path), len(model.requests)) == (before, sent)


def test_killed_and_resumed_each_request_runs_once(start: Start, model: ModelServer, tmp_path: Path) -> None:
    wait = 'echo x >> "$NAME"; until [ -e go ]; do sleep 0.05; done'

    def turn(request: Request) -> Turn:
        begun = any(message["role"] == "assistant" for message in request.body["messages"])
        return Turn(text="done") if begun else Turn(calls=[("bash", {"command": wait})])

    model.script[:] = [turn]
    workspace = tmp_path / "workspace"
    rows = [{"prompt": "x", "env": {"NAME": f"r{number}"}} for number in range(6)]
    process = start("--concurrency", "3", requests=rows)
    for killed in range(3):
        until(lambda: len(list(workspace.glob("r*"))) >= 3)
        process.kill()
        process.communicate()
        with (tmp_path / "results.ndjson").open("a") as file:
            file.write('{"half')
        if killed == 2:
            (workspace / "go").touch()
        process = start("--concurrency", "3")
    ended(process, 0)
    assert sorted(result["line"] for result in results(tmp_path)) == list(range(1, 7))
    assert {path.name: path.read_text() for path in workspace.glob("r*")} == {
        f"r{n}": "x\n" for n in range(6)
    }


def test_an_interrupted_batch_cancels_its_runs_and_can_be_resumed(
    start: Start, model: ModelServer, tmp_path: Path
) -> None:
    wait = "touch started; until [ -e go ]; do sleep 0.05; done"

    def turn(request: Request) -> Turn:
        begun = any(message["role"] == "assistant" for message in request.body["messages"])
        return Turn(text="done") if begun else Turn(calls=[("bash", {"command": wait})])

    model.script[:] = [turn]
    process = start(requests=requests(1))
    until((tmp_path / "workspace" / "started").exists)
    process.send_signal(signal.SIGINT)
    _, err = ended(process, 130)
    assert "continues the batch" in err and results(tmp_path) == []
    (tmp_path / "workspace" / "go").touch()
    ended(start(), 0)
    assert [result["status"] for result in results(tmp_path)] == ["completed"]


def test_only_retryable_failures_are_retried(start: Start, model: ModelServer, tmp_path: Path) -> None:
    overloaded, refused = Fault(status=529), Fault(status=401)
    seen: list[str] = []

    def turn(request: Request) -> Turn:
        prompt = json.dumps(request.body["messages"][-1])
        name = next(name for name in ("good", "busy", "denied") if name in prompt)
        seen.append(name)
        if name == "busy" and seen.count("busy") <= 1:
            return Turn(fault=overloaded)
        return Turn(fault=refused) if name == "denied" else Turn(text="done")

    model.script[:] = [turn]
    rows = [{"prompt": name, "config": {"maxRetries": 0}} for name in ("good", "busy", "denied")]
    out, _ = ended(start("--json", requests=rows), 1)
    statuses = {result["line"]: result["status"] for result in results(tmp_path)}
    assert statuses == {1: "completed", 2: "completed", 3: "failed"}
    assert (json.loads(out)["retries"], seen.count("busy"), seen.count("denied")) == (1, 2, 1)


def test_the_limit_of_the_cost_stops_the_batch(start: Start, tmp_path: Path) -> None:
    _, err = ended(start("--limit-cost", "0.0000001", "--concurrency", "1", requests=requests(3)), 3)
    assert "--limit-cost" in err and len(results(tmp_path)) == 1
    ended(start("--limit-cost", "100"), 0)
    assert len(results(tmp_path)) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"prompt": "x"}\n{"prompt": 3}\n', "REQUESTS: line 2: prompt"),
        ('{"prompt": "x"}\nno JSON\n', "REQUESTS: line 2: "),
        ('{"prompt": "x", "runId": "a"}\n{"prompt": "y", "runId": "a"}\n', "that of line 1"),
    ],
)
def test_bad_requests_are_refused_before_anything_runs(
    text: str, message: str, start: Start, model: ModelServer
) -> None:
    _, err = ended(start(text=text), 2)
    assert message in err and model.requests == []


def test_results_of_other_requests_are_kept(start: Start, tmp_path: Path) -> None:
    ended(start(requests=requests(1)), 0)
    before = (tmp_path / "results.ndjson").read_bytes()
    _, err = ended(start(requests=requests(2)), 2)
    assert "has results of other requests" in err
    assert (tmp_path / "results.ndjson").read_bytes() == before


def test_a_question_that_nobody_answers_holds_up_nothing(
    start: Start, tmp_path: Path, model: ModelServer
) -> None:
    def turn(request: Request) -> Turn:
        begun = any(message["role"] == "assistant" for message in request.body["messages"])
        return Turn(text="done") if begun else Turn(calls=[("ask_user", {"question": "Which?"})])

    model.script[:] = [turn]
    asking = {"prompt": "x", "askUser": True}
    ended(start(requests=[asking, asking | {"threadId": "t"}]), 1)
    found = {line["threadId"]: line["status"] for line in results(tmp_path)}
    assert found == {None: "completed", "t": "waiting"}
