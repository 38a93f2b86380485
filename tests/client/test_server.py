"""Both clients against the real server."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest

from agent_runtime.client import ApiError, AsyncClient, Client
from agent_runtime.client.stream_state import Event
from agent_runtime.protocol.events import CompleteEvent
from agent_runtime.testing.model_server import Turn
from tests.server.conftest import Serve, Served, serve  # noqa: F401
from tests.server.test_runs import waiting
from tests.support.ports import reserved_port

SCRIPT = [Turn(text="I look.", calls=[("bash", {"command": "echo hi > out.txt"})]), Turn(text="done")]


def test_a_run_can_be_started_followed_and_listed(serve: Serve) -> None:  # noqa: F811
    served = serve(SCRIPT, "--api-key", "secret", key="secret")
    with Client(served.url, api_key="secret") as client:
        with client.run("go") as run:
            found = list(run)
        assert isinstance(run.complete, CompleteEvent)
        assert [event.seq for event in found] == list(range(len(found)))
        assert (run.complete.status, run.complete.output) == ("completed", "done")
        assert client.get_run(run.run_id)["status"] == "completed"
        assert [row["runId"] for row in client.runs(thread_id=run.thread_id)] == [run.run_id]
        assert [row["id"] for row in client.threads()] == [run.thread_id]
        assert client.get_thread(run.thread_id)["runs"] == [run.run_id]
        copy = client.fork_thread(run.thread_id)
        client.delete_thread(copy["id"])
        assert [event.seq for event in client.events(run.run_id, 3)] == list(range(4, len(found)))
        assert list(client.events(run.run_id, len(found) - 1)) == []
        assert anyio.run(_rest, served.url, run.run_id, len(found) - 1) == []
        assert any(row["slug"] == "code-assistant" for row in client.agents())
        assert client.models()["models"]
        with pytest.raises(ApiError, match="409 conflict"):
            run.cancel()
        with pytest.raises(ApiError, match="404 not_found"):
            client.get_run("run_x?y")


def test_a_stream_continues_after_the_server_was_killed(serve: Serve) -> None:  # noqa: F811
    """The reader waits for the next server, and has every event once."""
    with reserved_port() as port:
        options = ("--port", str(port))
        served = serve([waiting(), Turn(text="done")], *options)
        seqs = anyio.run(_follow, served, lambda: serve(None, *options, model=served.model))
    assert seqs == list(range(len(seqs)))


async def _follow(served: Served, restart: Callable[[], Served]) -> list[int]:
    seqs = []
    async with AsyncClient(served.url) as client, client.run("go") as run:
        async for event in run:
            seqs.append(event.seq)
            if event.type == "tool_call":
                served.kill()
                await anyio.to_thread.run_sync(restart)
                (served.workspace / "go").touch()
        assert isinstance(run.complete, CompleteEvent) and run.complete.output == "done"
    return seqs


async def _rest(url: str, run_id: str, after: int) -> list[Event]:
    async with AsyncClient(url, api_key="secret") as client:
        return [event async for event in client.events(run_id, after)]
