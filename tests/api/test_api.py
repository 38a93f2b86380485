"""The Python API: runs in child processes, their events as models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from agent_runtime import api
from agent_runtime.errors import TranscriptError
from agent_runtime.protocol.events import ThinkingEvent, ToolCallEvent, ToolResultEvent
from agent_runtime.protocol.request import Request
from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.runtime import environment
from tests.support.waiting import until_async

pytestmark = pytest.mark.anyio

SCRIPT = [Turn(text="I look.", calls=[("bash", {"command": "echo hi > out.txt"})]), Turn(text="done")]


def environ(server: ModelServer, tmp_path: Path) -> dict[str, str]:
    return environment(server.environ("anthropic"), tmp_path / "state")


async def test_run_yields_event_models_and_the_exit_code(workspace: Path, tmp_path: Path) -> None:
    with ModelServer(SCRIPT) as server:
        async with api.run("go", workspace=workspace, env=environ(server, tmp_path)) as run:
            events = [event async for event in run]
    assert [event.type for event in events][:2] == ["start", "thinking"]
    assert isinstance(events[1], ThinkingEvent) and events[1].content == "I look."
    call = next(event for event in events if isinstance(event, ToolCallEvent))
    assert call.input == {"command": "echo hi > out.txt"}
    assert run.complete is not None and run.complete.output == "done"
    assert run.exit_code == 0


class Author(BaseModel):
    name: str
    email: str | None = None
    friends: list[Author] = []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_answer_is_an_instance_of_a_model(workspace: Path, tmp_path: Path) -> None:
    answer = {
        "name": "Ada",
        "email": None,
        "friends": [{"name": "Charles", "email": "c@example.com", "friends": []}],
    }
    turn = Turn(calls=[("final_answer", answer)])  # the schema refers to itself
    with ModelServer([turn]) as server:
        run = api.run("go", workspace=workspace, env=environ(server, tmp_path), output=Author)
        result = await api.collect(run)
    assert result.parsed(Author).friends[0].email == "c@example.com"
    assert run.parsed(Author).email is None


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_run_without_an_answer_says_why(workspace: Path, tmp_path: Path) -> None:
    with ModelServer([Turn(text="{}")], repeat_last=True) as server:
        run = api.run("go", workspace=workspace, env=environ(server, tmp_path), output=Author)
        result = await api.collect(run)
    with pytest.raises(api.NoAnswer, match="outputSchema"):
        result.parsed(Author)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_request_may_be_a_model_or_an_object(workspace: Path, tmp_path: Path) -> None:
    for request in ({"prompt": "go", "metadata": [1]}, Request(prompt="go", metadata=[1])):
        with ModelServer([Turn(text="done")]) as server:
            result = await api.collect(api.run(request, workspace=workspace, env=environ(server, tmp_path)))
        assert (result.exit_code, result.complete.metadata) == (0, [1])


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("fields", "status"),
    [({"askUser": True}, "completed"), ({"ask_user": True, "threadId": "t"}, "waiting")],
)
async def test_a_question_that_nobody_sees_does_not_wait(
    fields: dict[str, Any], status: str, workspace: Path, tmp_path: Path
) -> None:
    with ModelServer([Turn(calls=[("ask_user", {"question": "Which?"})]), Turn(text="done")]) as server:
        run = api.run({"prompt": "go", **fields}, workspace=workspace, env=environ(server, tmp_path))
        with anyio.fail_after(60):
            result = await api.collect(run)
    assert result.complete.status == status


async def test_input_pause_and_cancel_reach_the_run(workspace: Path, tmp_path: Path) -> None:
    script = [Turn(calls=[("bash", {"command": "sleep 60"})]), Turn(text="never")]
    with ModelServer(script) as server:
        async with api.run("go", workspace=workspace, env=environ(server, tmp_path)) as run:
            async for event in run:
                if isinstance(event, ToolCallEvent):
                    await run.pause()
                    await run.resume()
                    await run.input("hurry")
                    await run.cancel()
    assert run.complete is not None and run.complete.status == "cancelled"
    assert run.exit_code == 130


async def test_leaving_the_block_early_ends_the_run_and_its_processes(
    workspace: Path, tmp_path: Path
) -> None:
    command = "echo $$ > pid; sleep 300"
    with ModelServer([Turn(calls=[("bash", {"command": command})])]) as server:
        async with api.run("go", workspace=workspace, env=environ(server, tmp_path)) as run:
            async for event in run:
                if isinstance(event, ToolCallEvent):
                    break
            pid = workspace / "pid"
            await until_async(lambda: pid.exists() and pid.read_text().strip())
    assert run.exit_code == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int((workspace / "pid").read_text()), 0)


async def test_a_bad_request_is_an_event_and_a_status(workspace: Path, tmp_path: Path) -> None:
    result = await api.collect(api.run({"prompt": ""}, workspace=workspace, env=environment({}, tmp_path)))
    assert result.exit_code == 2
    assert result.complete.error is not None and result.complete.error.details == {
        "field": "prompt",
        "expected": "a non-empty string",
    }


async def test_a_killed_run_raises(workspace: Path, tmp_path: Path) -> None:
    script = [Turn(calls=[("bash", {"command": "kill -9 $(ps -o ppid= -p $$)"})])]
    with ModelServer(script) as server, pytest.raises(api.RuntimeExited, match="without `complete`"):
        await api.collect(api.run("go", workspace=workspace, env=environ(server, tmp_path)))


async def test_replay_and_load_return_events_and_transcripts(workspace: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.ndjson"
    with ModelServer(SCRIPT) as server:
        request = {"prompt": "go", "record": str(path)}
        await api.collect(api.run(request, workspace=workspace, env=environ(server, tmp_path)))
    transcript = api.Transcript.load(path)
    assert transcript.end is not None and transcript.end.exit_code == 0
    env = environment({}, tmp_path / "state")
    recorded = await api.collect(api.replay(path, verify=True, env=env))
    assert (recorded.exit_code, recorded.complete.output) == (0, "done")
    (tmp_path / "again").mkdir()
    again = await api.collect(api.replay(path, workspace=tmp_path / "again", verify="requests", env=env))
    assert again.exit_code == 0, again.complete.error
    (tmp_path / "again" / "out.txt").write_text("other\n")
    differs = await api.collect(api.replay(path, workspace=tmp_path / "again", verify=True, env=env))
    assert differs.exit_code == 4
    results = [event for event in recorded.events if isinstance(event, ToolResultEvent)]
    assert [event.exit_code for event in results] == [0]
    with pytest.raises(TranscriptError, match="there is no such file"):
        api.Transcript.load(tmp_path / "none")
