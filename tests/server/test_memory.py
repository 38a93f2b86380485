"""What the server keeps in memory: nothing of a run that has ended but its row in the list, nothing of a request."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import httpx2

from agent_runtime.server.app import create_app
from agent_runtime.server.run_files import RunFiles
from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.runtime import environment
from tests.server.conftest import has_ended
from tests.support.waiting import until

HOST = "127.0.0.1:1"
KEPT = {"RunRecord", "ListedRun"}


def objects() -> Counter[str]:
    """The number of objects of each class of the server, of its libraries and of asyncio.

    The event loop keeps cancelled timers until their time or until there are a hundred.
    """
    gc.collect()
    packages = {"agent_runtime", "asyncio", "_asyncio", "starlette", "anyio", "concurrent", "subprocess"}
    kept = [
        each for each in gc.get_objects() if not (isinstance(each, asyncio.TimerHandle) and each.cancelled())
    ]
    found = [(str(type(each).__module__), type(each).__qualname__) for each in kept]
    return Counter(
        name
        for module, name in found
        if module.partition(".")[0] in packages and not module.startswith("agent_runtime.testing.")
    )


def have_ended(state: Path) -> bool:
    records = [RunFiles(folder).record() for folder in (state / "runs").iterdir()]
    return all(record is None or has_ended(record.pid) for record in records)


async def use(client: httpx2.AsyncClient, runs: range) -> None:
    """Make runs, read each in every way, and make requests that are refused."""
    for number in runs:
        body = {"prompt": "go", "runId": f"r{number}", "threadId": f"t{number}", "stream": bool(number % 2)}
        headers = {"idempotency-key": f"k{number}"}
        assert (await client.post("/v1/run", json=body, headers=headers)).status_code == 200
        events = f"/v1/runs/r{number}/events"
        reads = [events, f"{events}?after=1", f"/v1/runs/r{number}", "/v1/runs", f"/v1/run/threads/t{number}"]
        answers = await asyncio.gather(*(client.get(path) for path in reads * 3))
        assert {answer.status_code for answer in answers} == {200}
        assert (await client.post(f"/v1/runs/r{number}/cancel")).status_code == 409
        assert (await client.get(f"/v1/runs/unknown{number}/events")).status_code == 404


def growth(folder: Path) -> Counter[str]:
    """The objects that five runs have added. Called in a process of its own, which has no objects of other tests."""
    state = folder / "state"

    async def main(model: ModelServer) -> Counter[str]:
        app = create_app(
            state_dir=state,
            workspace=folder,
            keys=[],
            hosts=frozenset({HOST}),
            environ=environment(model.environ("anthropic"), folder),
            standby=False,
        )
        transport = httpx2.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url=f"http://{HOST}", timeout=60) as client,
        ):
            await use(client, range(2))
            await asyncio.to_thread(until, lambda: have_ended(state))
            app.state.server.runs._launcher.reap()
            before = objects()
            await use(client, range(2, 7))
            await asyncio.to_thread(until, lambda: have_ended(state))
            app.state.server.runs._launcher.reap()  # as the server does from time to time
            return objects() - before

    with ModelServer([Turn(text="done")], repeat_last=True) as model:
        return asyncio.run(main(model))


def test_nothing_is_left_of_runs_and_requests(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        grown = pool.submit(growth, tmp_path).result()
    # some objects belong to the current work of the server
    assert {name: count for name, count in grown.items() if count >= (10 if name in KEPT else 5)} == {}
