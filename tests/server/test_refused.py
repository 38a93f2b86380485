"""Nothing is kept of a request that was refused: its ids and its key can be used again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from agent_runtime.testing.model_server import Turn
from tests.server.conftest import Serve
from tests.server.test_runs import waiting
from tests.support.waiting import until


def test_ids_and_keys_of_a_refused_request_can_be_used_again(serve: Serve) -> None:
    served = serve([Turn(text="done")])
    headers = {"idempotency-key": "k1"}
    body = {"prompt": "x", "runId": "r1", "stream": False}
    with served.client() as client:
        for wrong in ({"tools": ["nothing"]}, {"agent": "nobody"}, {"toolUser": "nobody-here"}):
            response = client.post("/v1/run", json=body | wrong, headers=headers)
            assert response.status_code == 400, response.text
            assert client.get("/v1/runs/r1").status_code == 404
        assert client.get("/v1/runs").json()["data"] == []
        assert client.post("/v1/run", json=body, headers=headers).json()["data"]["status"] == "completed"


def test_a_request_for_a_busy_thread_can_be_repeated(serve: Serve) -> None:
    served = serve([waiting(), Turn(text="first"), Turn(text="second")])
    first, second = ({"prompt": "x", "runId": id, "threadId": "t1", "stream": False} for id in ("r1", "r2"))
    with ThreadPoolExecutor() as pool, served.client() as client:
        answer = pool.submit(client.post, "/v1/run", json=first)
        until((served.workspace / "started").exists)
        headers = {"idempotency-key": "k2"}
        for _ in range(2):
            busy = client.post("/v1/run", json=second, headers=headers)
            assert (busy.status_code, busy.headers["retry-after"]) == (409, "1"), busy.text
        (served.workspace / "go").touch()
        assert answer.result().json()["data"]["output"] == "first"
        again = client.post("/v1/run", json=second, headers=headers)
    assert again.json()["data"]["output"] == "second"


def test_requests_with_one_key_at_once_are_one_run(serve: Serve) -> None:
    served = serve([Turn(calls=[("bash", {"command": "echo x >> ran"})]), Turn(text="done")])
    with ThreadPoolExecutor(16) as pool, served.client() as client:

        def post(number: int) -> str:
            headers = {"idempotency-key": "k1"}
            while True:
                response = client.post("/v1/run", json={"prompt": "x", "stream": False}, headers=headers)
                if response.status_code != 409:
                    return str(response.json()["data"]["runId"])

        assert len(set(pool.map(post, range(16)))) == 1
    assert (served.workspace / "ran").read_text() == "x\n"
    assert len(list((served.state / "runs").glob("*/process.json"))) == 1
