"""Threads over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

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


def test_the_description_names_every_route(serve: Serve) -> None:
    with serve([]).client() as client:
        document = client.get("/openapi.json").json()
        assert document["openapi"] == "3.1.0"
        assert {"/v1/run", "/v1/runs/{id}/events", "/v1/run/threads/{id}"} <= document["paths"].keys()
        assert "Request" in document["components"]["schemas"]
        assert client.get("/v1/models").json()["data"]["providers"]
        assert client.get("/v1/sandboxes/sb/url?port=3000").json()["data"]["url"] == "http://localhost:3000"
        assert client.get("/nothing").json()["error"]["code"] == "not_found"
