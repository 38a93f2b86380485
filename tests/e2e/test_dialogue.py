"""Plans and questions through the real program: answered, not answerable, waiting on a thread, cancelled, replayed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from agent_runtime.protocol.messages import WireFormat
from agent_runtime.testing.model_server import Call, ModelServer, Request, Turn
from agent_runtime.testing.plugin import Replay
from agent_runtime.testing.runtime import COMMAND, Json, environment, run
from tests.support.followed import Running, running

FORMATS = get_args(WireFormat)
QUESTION = Call("ask_user", {"question": "Tabs or spaces?", "options": ["tabs", "spaces"]}, id="q1")
ASKS = [Turn(calls=[QUESTION]), Turn(text="done")]


def dialogue(
    server: ModelServer, format: WireFormat, workspace: Path, **fields: object
) -> AbstractContextManager[Running]:
    """A run that may ask, whose stdin stays open."""
    return running(server, workspace, request={"prompt": "x", "askUser": True, **fields}, format=format)


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
        talk.say(action="answer", id="another", text="x")
        talk.until_invalid("id")
        talk.say(action="answer", id=question["id"], text="four spaces")
        done = talk.end()
        assert server.violations == []
        assert "four spaces" in result_texts(server.requests[1])
    assert done.code == 0
    [answered] = done.of("tool_result")
    assert (answered["output"], answered["isError"]) == ("four spaces", False)
    for executed in (None, workspace):
        again = replay(transcript, executed)
        assert [event["text"] for event in again.of("question")] == ["Tabs or spaces?"]


@pytest.mark.parametrize(
    ("format", "fields"),
    [
        *((format, {}) for format in FORMATS),
        ("anthropic", {"threadId": "t"}),
        ("anthropic", {"questionTimeout": 300}),
    ],
)
def test_the_model_is_informed_at_once_when_nobody_can_answer(
    format: WireFormat, fields: Json, workspace: Path, tmp_path: Path, replay: Replay
) -> None:
    transcript = tmp_path / "t.ndjson"
    with ModelServer(ASKS) as server:
        request = {"prompt": "x", "askUser": True, "record": str(transcript), **fields}
        done = run(request, workspace, server.environ(format))  # stdin is closed
        assert "Nobody can answer" in result_texts(server.requests[1])
    assert done.code == 0 and len(done.of("question")) == 1
    assert done.of("tool_result")[0]["isError"] is True
    if format == "anthropic":
        replay(transcript)


def test_a_question_without_a_thread_times_out(workspace: Path) -> None:
    with ModelServer(ASKS) as server, dialogue(server, "anthropic", workspace, questionTimeout=0.2) as talk:
        done = talk.end()
    assert done.code == 0 and "Nobody" in done.of("tool_result")[0]["output"]


@pytest.mark.parametrize(
    ("open_stdin", "format"), [(True, "anthropic"), *((False, format) for format in FORMATS)]
)
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
    fields: Json = {"threadId": "t", "questionTimeout": 0.2, "record": str(transcript)}

    def ask(_: Request) -> Turn:
        talk.say(action="input", text="use spaces")
        talk.wait_until_read()
        return ASKS[0]

    with ModelServer([ask, *ASKS[1:]]) as server, dialogue(server, "anthropic", workspace, **fields) as talk:
        done = talk.end()
        assert done.code == 0 and "use spaces" in result_texts(server.requests[1])
    replay(transcript)


@pytest.mark.timed
def test_the_clock_is_stopped_while_a_question_is_open(workspace: Path) -> None:
    with (
        ModelServer(ASKS) as server,
        dialogue(server, "anthropic", workspace, config={"timeout": 3}) as talk,
    ):
        question = talk.until("question")
        time.sleep(3.5)
        talk.say(action="answer", id=question["id"], text="tabs")
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
            talk.say(action="cancel")
        else:
            talk.process.send_signal(signal.SIGTERM)
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
        ids = [talk.until("question", number=number)["id"] for number in (1, 2)]
        for id in reversed(ids):
            talk.say(action="answer", id=id, text=f"answer to {id}")
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


def test_the_number_of_an_option_stands_for_it(workspace: Path) -> None:
    answers = {"2": "spaces", "3": "3", "0": "0", "tabs": "tabs"}
    calls = [replace(QUESTION, id=f"q{typed}") for typed in answers]
    with (
        ModelServer([Turn(calls=calls), Turn(text="done")]) as server,
        dialogue(server, "anthropic", workspace) as talk,
    ):
        for number in range(1, len(answers) + 1):
            asked = talk.until("question", number=number)
            talk.say(action="answer", id=asked["id"], text=asked["id"].removeprefix("q"))
        done = talk.end()
    assert {event["id"]: event["output"] for event in done.of("tool_result")} == {
        f"q{typed}": answer for typed, answer in answers.items()
    }


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


INVALID_PLANS: list[Json] = [
    {},
    {"plan": [{"step": "a", "status": "done"}]},
    {"plan": [{"step": "", "status": "pending"}]},
    {"plan": [{"step": name, "status": "in_progress"} for name in "ab"]},
    {"plan": "first read, then write"},
]


def test_an_invalid_plan_is_explained_to_the_model(workspace: Path) -> None:
    script = [Turn(calls=[Call("update_plan", arguments)]) for arguments in INVALID_PLANS]
    with ModelServer([*script, Turn(text="done")]) as server:
        done = run({"prompt": "x"}, workspace, server.environ("anthropic"))
    assert done.code == 0 and done.of("plan") == []
    assert [event["isError"] for event in done.of("tool_result")] == [True] * len(INVALID_PLANS)


@pytest.mark.parametrize("format", FORMATS)
def test_the_first_request_is_small(format: WireFormat, workspace: Path) -> None:
    with ModelServer([Turn(text="done")]) as server:
        run({"prompt": "x"}, workspace, server.environ(format))
    assert len(json.dumps(server.bodies[0], separators=(",", ":"))) <= 8 << 10
