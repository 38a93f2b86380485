"""Threads over HTTP."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent_runtime.conversation.threads.store import ThreadInfo, ThreadStore
from agent_runtime.protocol.messages import AssistantMessage, Text, UserMessage
from agent_runtime.server.app import create_app
from agent_runtime.testing.model_server import Turn
from tests.server.conftest import Serve
from tests.server.test_runs import waiting
from tests.support.waiting import until


def test_threads_are_created_continued_listed_read_forked_and_deleted(serve: Serve) -> None:
    with serve([Turn(text="done")], repeat_last=True).client() as client:
        for number in range(3):
            body = {"prompt": f"p{number}", "threadId": f"t{number}", "stream": False}
            assert client.post("/v1/run", json=body).json()["data"]["threadId"] == f"t{number}"
        client.post("/v1/run", json={"prompt": "more", "threadId": "t0", "stream": False})
        first = client.get("/v1/run/threads?limit=2").json()
        assert [thread["id"] for thread in first["data"]] == ["t0", "t2"] and first["meta"]["hasMore"]
        rest = client.get(
            "/v1/run/threads", params={"limit": 2, "cursor": first["meta"]["nextCursor"]}
        ).json()
        assert [thread["id"] for thread in rest["data"]] == ["t1"] and rest["meta"]["nextCursor"] is None
        assert client.get("/v1/run/threads?agent=other").json()["data"] == []
        thread = client.get("/v1/run/threads/t0").json()["data"]
        assert [message["role"] for message in thread["messages"]] == ["user", "assistant"] * 2
        assert len(thread["runs"]) == 2
        assert client.post("/v1/run/threads/t0/fork", json={"as": "t9"}).status_code == 201
        assert client.post("/v1/run/threads/t0/fork", json={"as": "t9"}).status_code == 409
        assert client.get("/v1/run/threads/t9").json()["data"]["messageCount"] == 4
        assert client.delete("/v1/run/threads/t0").json()["data"]["deleted"] is True
        for method in (client.get, client.delete):
            assert method("/v1/run/threads/t0").status_code == 404
        for query in ("limit=0", "limit=x", "cursor=zzz"):
            assert client.get(f"/v1/run/threads?{query}").status_code == 400


def test_a_thread_in_use_is_a_conflict(serve: Serve) -> None:
    served = serve([waiting(), Turn(text="done")])
    with ThreadPoolExecutor() as pool, served.client() as client:
        first = pool.submit(client.post, "/v1/run", json={"prompt": "go", "threadId": "t", "stream": False})
        until((served.workspace / "started").exists)
        second = client.post("/v1/run", json={"prompt": "me too", "threadId": "t", "stream": False})
        assert second.status_code == 409 and second.headers["retry-after"] == "1"
        assert client.delete("/v1/run/threads/t").status_code == 409
        (served.workspace / "go").touch()
        assert first.result().status_code == 200


class Racing:
    """The threads of a server, of which one is deleted by somebody else when it is about to be forked or deleted."""

    def __init__(self, store: ThreadStore) -> None:
        self._store = store

    def get(self, id: str) -> ThreadInfo | None:
        return self._store.get(id)

    def fork(self, id: str, new: str, *, at: int | None = None) -> ThreadInfo:
        self._store.delete(id)
        return self._store.fork(id, new, at=at)

    def delete(self, id: str) -> None:
        self._store.delete(id)
        self._store.delete(id)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/run/threads/t/fork", {"as": "new"}),
        ("POST", "/v1/run/threads/t/fork", {"as": "new", "at": 1}),
        ("POST", "/v1/run/threads/t/fork", {}),
        ("DELETE", "/v1/run/threads/t", None),
    ],
)
def test_a_thread_that_is_deleted_meanwhile(
    method: str, path: str, body: dict[str, Any] | None, tmp_path: Path
) -> None:
    host = "127.0.0.1:1"
    app = create_app(
        state_dir=tmp_path,
        workspace=tmp_path,
        keys=[],
        hosts=frozenset({host}),
        environ={},
        standby=False,
    )

    async def main() -> httpx2.Response:
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=f"http://{host}") as client,
        ):
            server = app.state.server
            turn = AssistantMessage(blocks=(Text(text="done"),))
            server.threads.append("t", "a", [UserMessage.of("go"), turn])
            app.state.server = replace(server, threads=Racing(server.threads))
            return await client.request(method, path, json=body)

    answer = asyncio.run(main())
    if method == "DELETE":  # it is gone, as was asked for
        assert answer.json()["data"] == {"id": "t", "deleted": True}
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_the_description_names_every_route(serve: Serve) -> None:
    with serve([]).client() as client:
        document = client.get("/openapi.json").json()
        assert document["openapi"] == "3.1.0"
        assert {"/v1/run", "/v1/runs/{id}/events", "/v1/run/threads/{id}"} <= document["paths"].keys()
        assert "Request" in document["components"]["schemas"]
        assert client.get("/v1/models").json()["data"]["providers"]
        assert client.get("/v1/sandboxes/sb/url?port=3000").json()["data"]["url"] == "http://localhost:3000"
        assert client.get("/nothing").json()["error"]["code"] == "not_found"
