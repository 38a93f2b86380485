"""Plans and questions through the real program: answered, not answerable, waiting on a thread, cancelled, replayed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import pytest

from agent_runtime.protocol.messages import WireFormat
from agent_runtime.testing.model_server import Call, ModelServer, Request, Turn
from agent_runtime.testing.plugin import Replay
from agent_runtime.testing.runtime import COMMAND, Json, Result, environment, result, run

FORMATS = get_args(WireFormat)
QUESTION = Call("ask_user", {"question": "Tabs or spaces?", "options": ["tabs", "spaces"]}, id="q1")
ASKS = [Turn(calls=[QUESTION]), Turn(text="done")]


class Dialogue:
    """A run whose stdin stays open."""

    def __init__(self, process: subprocess.Popen[bytes], request: Json) -> None:
        self._process = process
        self._lines: list[bytes] = []
        self.send(request)

    def send(self, message: Json) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def until(self, kind: str) -> Json:
        """The next event of a type."""
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.append(line)
            if (event := json.loads(line))["type"] == kind:
                return dict(event)
        raise AssertionError(f"no {kind} event")

    def signal(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def end(self) -> Result:
        assert self._process.stdout and self._process.stderr
        self._lines += self._process.stdout.readlines()
        return result(b"".join(self._lines), self._process.wait(), self._process.stderr.read())


@contextmanager
def dialogue(
    server: ModelServer, format: WireFormat, workspace: Path, **fields: object
) -> Iterator[Dialogue]:
    state = workspace.parent / f"{workspace.name}.state"
    with subprocess.Popen(
        [*COMMAND, "run", "--workspace", str(workspace)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(server.environ(format), state),
    ) as process:
        killer = threading.Timer(60, process.kill)
        killer.start()
        try:
            yield Dialogue(process, {"prompt": "x", "askUser": True, **fields})
        finally:
            killer.cancel()
            process.kill()


def result_texts(request: Request) -> str:
    return json.dumps(request.body.get("messages") or request.body.get("input"))


@pytest.mark.parametrize("format", FORMATS)
def test_an_answer_reaches_the_model_and_is_replayed(
    format: WireFormat, workspace: Path, tmp_path: Path, replay: Replay
) -> None:
    transcript = tmp_path / "t.ndjson"
    with (
        ModelServer(ASKS) as server,
        dialogue(server, format, workspace, record=str(transcript)) as talk,
    ):
        question = talk.until("question")
        assert (question["text"], question["options"]) == ("Tabs or spaces?", ["tabs", "spaces"])
        talk.send({"action": "answer", "id": "another", "text": "x"})
        assert talk.until("error")["details"]["field"] == "id"
        talk.send({"action": "answer", "id": question["id"], "text": "four spaces"})
        done = talk.end()
        assert server.violations == []
        assert "four spaces" in result_texts(server.requests[1])
    assert done.code == 0
    [answered] = done.of("tool_result")
    assert (answered["output"], answered["isError"]) == ("four spaces", False)
    for executed in (None, workspace):
        again = replay(transcript, executed)
        assert [event["text"] for event in again.of("question")] == ["Tabs or spaces?"]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("fields", [{}, {"threadId": "t"}, {"questionTimeout": 30}])
def test_the_model_is_informed_at_once_when_nobody_can_answer(
    format: WireFormat, fields: Json, workspace: Path, tmp_path: Path, replay: Replay
) -> None:
    transcript = tmp_path / "t.ndjson"
    with ModelServer(ASKS) as server:
        request = {"prompt": "x", "askUser": True, "record": str(transcript), **fields}
        done = run(request, workspace, server.environ(format), seconds=20)  # stdin is closed
        assert "Nobody can answer" in result_texts(server.requests[1])
    assert done.code == 0 and len(done.of("question")) == 1
    assert done.of("tool_result")[0]["isError"] is True
    if format == "anthropic":
        replay(transcript)


def test_a_question_without_a_thread_times_out(workspace: Path) -> None:
    with ModelServer(ASKS) as server, dialogue(server, "anthropic", workspace, questionTimeout=0.2) as talk:
        done = talk.end()
    assert done.code == 0 and "Nobody" in done.of("tool_result")[0]["output"]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("open_stdin", [True, False])
def test_a_question_on_a_thread_is_answered_by_the_next_run(
    open_stdin: bool, format: WireFormat, workspace: Path, tmp_path: Path, replay: Replay
) -> None:
    transcript = tmp_path / "t.ndjson"
    fields: Json = {"threadId": "t", "questionTimeout": 0.2, "record": str(transcript)}
    with ModelServer(ASKS) as server:
        if open_stdin:
            with dialogue(server, format, workspace, **fields) as talk:
                done = talk.end()
        else:
            done = run({"prompt": "x", "askUser": True, **fields}, workspace, server.environ(format))
        assert (done.code, done.complete["status"], done.complete["stopReason"]) == (5, "waiting", "question")
        assert "error" not in done.complete and done.of("error") == []
        request = {"prompt": "use spaces", "askUser": True, "threadId": "t"}
        later = run(request, workspace, server.environ(format))
        assert later.code == 0 and server.violations == []
        assert "use spaces" in result_texts(server.requests[1])
        assert "passed on to the user" in result_texts(server.requests[1])
    assert replay(transcript).complete["status"] == "waiting"


def test_input_that_arrived_before_the_timeout_is_used(
    workspace: Path, tmp_path: Path, replay: Replay
) -> None:
    transcript = tmp_path / "t.ndjson"
    fields: Json = {"threadId": "t", "questionTimeout": 1, "record": str(transcript)}
    with ModelServer(ASKS) as server, dialogue(server, "anthropic", workspace, **fields) as talk:
        talk.until("question")
        talk.send({"action": "input", "text": "use spaces"})
        done = talk.end()
        assert done.code == 0 and "use spaces" in result_texts(server.requests[1])
    replay(transcript)


def test_the_clock_is_stopped_while_a_question_is_open(workspace: Path) -> None:
    with (
        ModelServer(ASKS) as server,
        dialogue(server, "anthropic", workspace, config={"timeout": 4}, heartbeat=1) as talk,
    ):
        question = talk.until("question")
        for _ in range(5):  # seconds: more than the timeout
            talk.until("heartbeat")
        talk.send({"action": "answer", "id": question["id"], "text": "tabs"})
        assert talk.end().code == 0


@pytest.mark.parametrize("how", ["control", "signal"])
def test_a_question_can_be_cancelled(how: str, workspace: Path, tmp_path: Path, replay: Replay) -> None:
    transcript = tmp_path / "t.ndjson"
    with (
        ModelServer(ASKS) as server,
        dialogue(server, "anthropic", workspace, record=str(transcript)) as talk,
    ):
        talk.until("question")
        if how == "control":
            talk.send({"action": "cancel"})
        else:
            talk.signal()
        done = talk.end()
    assert done.complete["status"] == "cancelled"
    assert done.of("tool_result")[0]["outcome"] == "cancelled"
    replay(transcript)


def test_two_questions_are_open_at_once(workspace: Path) -> None:
    calls = [Call("ask_user", {"question": f"{name}?"}, id=name) for name in ("one", "two")]
    with (
        ModelServer([Turn(calls=calls), Turn(text="done")]) as server,
        dialogue(server, "anthropic", workspace) as talk,
    ):
        ids = [talk.until("question")["id"] for _ in calls]
        for id in reversed(ids):
            talk.send({"action": "answer", "id": id, "text": f"answer to {id}"})
        done = talk.end()
    assert {event["id"]: event["output"] for event in done.of("tool_result")} == {
        "one": "answer to one",
        "two": "answer to two",
    }


def offered(body: Json) -> set[str]:
    return {str(tool.get("name") or tool.get("function", {}).get("name")) for tool in body.get("tools", [])}


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({}, False),
        ({"askUser": True}, True),
        ({"askUser": True, "tools": ["bash"]}, True),
        ({"tools": ["ask_user"]}, False),
    ],
)
def test_questions_are_offered_where_they_are_wanted(fields: Json, expected: bool, workspace: Path) -> None:
    with ModelServer([Turn(text="done")]) as server:
        done = run({"prompt": "x", **fields}, workspace, server.environ("anthropic"))
    assert ("ask_user" in offered(server.bodies[0])) is expected
    assert ("ask_user" in done.events[0]["tools"]) is expected
    assert ("nobody can answer questions" in json.dumps(server.bodies[0])) is not expected


@pytest.mark.parametrize("typed, answer", [("2", "spaces"), ("3", "3"), ("0", "0"), ("tabs", "tabs")])
def test_the_number_of_an_option_stands_for_it(typed: str, answer: str, workspace: Path) -> None:
    with ModelServer(ASKS) as server, dialogue(server, "anthropic", workspace) as talk:
        talk.send({"action": "answer", "id": talk.until("question")["id"], "text": typed})
        assert talk.end().of("tool_result")[0]["output"] == answer


def test_typed_text_answers_the_open_question(workspace: Path) -> None:
    terminal, theirs = os.openpty()
    state = workspace.parent / f"{workspace.name}.state"
    with ModelServer(ASKS) as server:
        command = [
            *COMMAND,
            "run",
            "--prompt",
            "x",
            "--request",
            str(workspace / "request.json"),
            "--format",
            "ndjson",
        ]
        (workspace / "request.json").write_text('{"askUser": true}')
        with subprocess.Popen(
            [*command, "--workspace", str(workspace)],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(server.environ("anthropic"), state),
        ) as process:
            os.close(theirs)
            assert process.stdout
            lines = []
            for line in process.stdout:
                lines.append(line)
                if b'"type":"question"' in line.replace(b" ", b""):
                    os.write(terminal, b"tabs, please\n")
            code = process.wait()
        os.close(terminal)
    events: Sequence[Json] = [json.loads(line) for line in lines]
    assert code == 0
    assert [event["output"] for event in events if event["type"] == "tool_result"] == ["tabs, please"]


PLAN = [{"step": "read", "status": "completed"}, {"step": "write", "status": "in_progress"}]


@pytest.mark.parametrize("format", FORMATS)
def test_a_plan_is_an_event(format: WireFormat, workspace: Path, tmp_path: Path, replay: Replay) -> None:
    transcript = tmp_path / "t.ndjson"
    calls = [Call("update_plan", {"plan": PLAN, "explanation": "read it"}, id="p1")]
    with ModelServer([Turn(calls=calls), Turn(text="done")]) as server:
        done = run({"prompt": "x", "record": str(transcript)}, workspace, server.environ(format))
        assert server.violations == []
    [plan] = done.of("plan")
    assert (plan["items"], plan["explanation"], plan["turn"]) == (PLAN, "read it", 1)
    assert done.of("tool_result")[0]["output"] == "Plan updated"
    for executed in (None, workspace):
        assert replay(transcript, executed).of("plan")[0]["items"] == PLAN


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"plan": [{"step": "a", "status": "done"}]},
        {"plan": [{"step": "", "status": "pending"}]},
        {"plan": [{"step": name, "status": "in_progress"} for name in "ab"]},
        {"plan": "first read, then write"},
    ],
)
def test_an_invalid_plan_is_explained_to_the_model(arguments: Json, workspace: Path) -> None:
    with ModelServer([Turn(calls=[Call("update_plan", arguments)]), Turn(text="done")]) as server:
        done = run({"prompt": "x"}, workspace, server.environ("anthropic"))
    assert done.code == 0 and done.of("plan") == [] and done.of("tool_result")[0]["isError"] is True


@pytest.mark.parametrize("format", FORMATS)
def test_the_first_request_is_small(format: WireFormat, workspace: Path) -> None:
    with ModelServer([Turn(text="done")]) as server:
        run({"prompt": "x"}, workspace, server.environ(format))
    assert len(json.dumps(server.bodies[0], separators=(",", ":"))) <= 8 << 10
