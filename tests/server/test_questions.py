"""Questions of runs whose caller waits for one JSON answer: nothing waits for ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.server.start_body import StartBody
from agent_runtime.testing.model_server import Call, Turn
from tests.server.conftest import Serve
from tests.support.waiting import until

QUESTION = Turn(calls=[Call("ask_user", {"question": "Tabs or spaces?"}, id="q1")])


@pytest.mark.parametrize(
    ("fields", "stream_by_default", "is_bounded"),
    [
        ({"askUser": True, "stream": False}, True, True),
        ({"askUser": True}, False, True),  # the oldest form
        ({"askUser": True, "stream": False, "executionMode": "managed"}, True, True),
        ({"askUser": True, "stream": True}, False, False),  # the caller sees the question
        ({"stream": False}, True, False),  # there are no questions
    ],
)
def test_a_question_that_the_caller_does_not_see_waits_for_a_bounded_time(
    fields: dict[str, Any], stream_by_default: bool, is_bounded: bool, tmp_path: Path
) -> None:
    start = StartBody.parse(
        {"prompt": "x", **fields}, {}, stream_by_default=stream_by_default, workspace=tmp_path
    )
    assert (start.request.question_timeout is not None) is is_bounded
    given = StartBody.parse(
        {"prompt": "x", "questionTimeout": 77, **fields},
        {},
        stream_by_default=stream_by_default,
        workspace=tmp_path,
    )
    assert given.request.question_timeout == 77


def test_without_an_answer_the_run_waits_on_its_thread_for_the_next_prompt(serve: Serve) -> None:
    body = {"prompt": "x", "askUser": True, "stream": False, "questionTimeout": 0.2}
    with (served := serve([QUESTION, Turn(text="done")])).client() as client:
        asked = client.post("/v1/run", json=body).json()["data"]
        assert (asked["status"], asked["stopReason"]) == ("waiting", "question")
        answer = {"prompt": "spaces", "threadId": asked["threadId"], "stream": False}
        assert client.post("/v1/run", json=answer).json()["data"]["status"] == "completed"
    assert "spaces" in str(served.model.bodies[1]["messages"])


def test_another_client_may_answer_meanwhile(serve: Serve) -> None:
    body = {"prompt": "x", "askUser": True, "stream": False, "runId": "asks"}
    with (served := serve([QUESTION, Turn(text="done")])).client() as client, ThreadPoolExecutor() as pool:
        waiting = pool.submit(client.post, "/v1/run", json=body)
        until(lambda: client.get("/v1/runs/asks").status_code == 200)
        with client.stream("GET", "/v1/runs/asks/events") as events:
            assert next(line for line in events.iter_lines() if line == "event: question")
        answered = client.post("/v1/runs/asks/answer", json={"id": "q1", "text": "tabs"})
        assert answered.status_code == 200
        assert waiting.result().json()["data"]["status"] == "completed"
    assert "tabs" in str(served.model.bodies[1]["messages"])
