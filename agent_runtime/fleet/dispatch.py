"""Puts requests into queues, and finds their runs. Any number of servers may do this, because all state is in NATS."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import nats.errors
import nats.js.errors
from nats.js.kv import KeyValue

from agent_runtime.errors import RequestError
from agent_runtime.fleet.connection import LEASE, Connection, connected
from agent_runtime.fleet.messages import persistently, publish
from agent_runtime.fleet.names import KEYS, MESSAGE_ID, RUN_ID, RUNS, Queue, token
from agent_runtime.fleet.nats_options import AUTO, NatsOptions
from agent_runtime.fleet.own_server import own_server
from agent_runtime.fleet.remote_run import RemoteRun, available
from agent_runtime.protocol.request import Request
from agent_runtime.server.errors import ApiError
from agent_runtime.server.run_files import RunRecord

_AT_ONCE = 32  # requests to NATS at a time, for one list


@asynccontextmanager
async def dispatching(options: NatsOptions, pool: Queue | None, state_dir: Path) -> AsyncIterator[Dispatch]:
    """Connect, and create the streams and buckets that are missing.

    Args:
        options: of the connection; the address `auto` stands for a server that this process starts.
        pool: the queue of runs that are not for a device; None: they are run here.
        state_dir: the state directory of that server.

    Raises:
        RequestError: NATS cannot be used.
    """
    async with AsyncExitStack() as stack:
        if options.url == AUTO:
            options = replace(options, url=await stack.enter_async_context(own_server(state_dir)))
        dispatch = Dispatch(await stack.enter_async_context(connected(options, "serve")), pool)
        await dispatch.prepare()
        yield dispatch


class Dispatch:
    """The runs of all queues; see server.run.Dispatcher.

    Args:
        connection: to NATS.
        pool: the queue of runs that are not for a device; None: they are run by the server itself.
    """

    def __init__(self, connection: Connection, pool: Queue | None) -> None:
        self.connection, self._pool = connection, pool
        self._leases: dict[Queue, float] = {}
        self._silent: dict[str, float] = {}
        self._ended: dict[str, str] = {}  # the status of runs that have ended
        self._runs: KeyValue
        self._keys: KeyValue

    async def prepare(self) -> None:
        """Create the streams and buckets that are missing, and the consumer of the pool. Raises RequestError."""
        try:
            await self.connection.set_up()
            if self._pool:
                await self.lease(self._pool)
            self._runs = await self.connection.js.key_value(RUNS)
            self._keys = await self.connection.js.key_value(KEYS)
        except (nats.errors.Error, OSError) as error:
            message = f"expected a NATS server with JetStream where streams can be created ({error})"
            raise RequestError("--nats", message) from error

    async def lease(self, queue: Queue) -> float:
        """The lease of a queue in seconds; its consumer is created when it is missing."""
        if queue not in self._leases:
            self._leases[queue] = await self.connection.set_up_queue(queue, LEASE)
        return self._leases[queue]

    def silent_since(self, run_id: str, answers: bool) -> float:
        """Note whether the runner of a run answers; returns the monotonic time since when it does not."""
        if answers:
            self._silent.pop(run_id, None)
            return time.monotonic()
        return self._silent.setdefault(run_id, time.monotonic())

    def queue_of(self, request: Request) -> Queue | None:
        """The queue that a request is for; None when it is run here. Raises ApiError 400."""
        if request.execution_mode != "local-mac":
            return self._pool
        if not request.target_device_id:
            message = "targetDeviceId: expected the id of the device that the run is for"
            raise ApiError(400, "invalid_request", message, details={"field": "targetDeviceId"})
        return Queue.parse(f"device:{request.target_device_id}")

    async def start(
        self, request: Request, *, record: RunRecord, key: str | None = None, digest: str = ""
    ) -> RemoteRun:
        """Hand a run to the queue of its record; see server.run.Dispatcher. Raises what that raises."""
        async with available():
            if key and (earlier := await self._claimed(key, digest, record.run_id)):
                run = await self.search(earlier)
                if run and not await run.is_waiting():
                    return run
                # the server that has claimed the key may have been killed before it has queued the request
                record = run.record if run else replace(record, run_id=earlier)
            return await self.enqueue(request, record, is_new=not key)

    async def enqueue(self, request: Request, record: RunRecord, *, is_new: bool) -> RemoteRun:
        """Store the record of a run, and put its request into the queue: each once, however often this is called.

        Raises:
            ApiError: 409 when `is_new` and there is such a run.
        """
        queue = Queue.parse(str(record.queue))
        await self.lease(queue)
        tries = 0

        async def create() -> bool:
            nonlocal tries
            tries += 1
            try:
                await self._runs.create(token(record.run_id), json.dumps(asdict(record)).encode())
            except nats.js.errors.KeyWrongLastSequenceError:
                return tries > 1  # an earlier attempt may have succeeded
            return True

        if not await persistently(create) and is_new:
            raise ApiError(409, "conflict", f"there is a run {record.run_id!r} already")
        body = request.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        body |= {"runId": record.run_id} | ({"threadId": record.thread_id} if record.thread_id else {})
        headers = {MESSAGE_ID: record.run_id, RUN_ID: record.run_id}
        data = json.dumps(body).encode()
        await persistently(
            lambda: publish(self.connection, queue, queue.work(), record.run_id, data, headers)
        )
        return RemoteRun(self, record)

    async def _claimed(self, key: str, digest: str, run_id: str) -> str | None:
        """The run that an earlier request with the same key was given; None when this is the first.

        Raises:
            ApiError: 422 when the body was another one.
        """
        claim = json.dumps({"digest": digest, "runId": run_id}).encode()

        async def create() -> dict[str, str] | None:
            try:
                await self._keys.create(token(key), claim)
            except nats.js.errors.KeyWrongLastSequenceError:
                entry = await self._keys.get(token(key))
                found: dict[str, str] = json.loads(entry.value or b"{}")
                return found
            return None

        found = await persistently(create)
        if found is None or found["runId"] == run_id:
            return None
        if found["digest"] != digest:
            raise ApiError(422, "idempotency_mismatch", "this Idempotency-Key was used with another body")
        return found["runId"]

    async def find(self, run_id: str) -> RemoteRun | None:
        """The run with this id. Raises ApiError 503."""
        async with available():
            return await self.search(run_id)

    async def search(self, run_id: str) -> RemoteRun | None:
        """The run with this id; waits for as long as NATS cannot be reached."""
        try:
            entry = await persistently(lambda: self._runs.get(token(run_id)))
        except nats.js.errors.NotFoundError:
            return None
        return RemoteRun(self, RunRecord(**json.loads(entry.value or b"{}")))

    async def records(self) -> list[RunRecord]:
        """All runs. Raises ApiError 503."""
        async with available():
            return [RunRecord(**each) for each in await values(self._runs)]

    async def statuses(self, records: Sequence[RunRecord]) -> list[str]:
        """The status of each of these runs. Raises ApiError 503."""
        limit = asyncio.Semaphore(_AT_ONCE)

        async def status(record: RunRecord) -> str:
            async with limit:
                return await self._status(record)

        async with available():
            return await asyncio.gather(*map(status, records))

    async def _status(self, record: RunRecord) -> str:
        if status := self._ended.get(record.run_id):
            return status
        run = RemoteRun(self, record)
        outcome = await run.outcome()
        if outcome is None:
            return await run.status()
        self._ended[record.run_id] = status = str(outcome["status"])
        return status


async def values(bucket: KeyValue, wanted: Callable[[str], bool] = lambda key: True) -> list[Any]:
    """The values in a bucket that are there now, decoded from JSON, by their keys."""
    watcher = await bucket.watchall(ignore_deletes=True)
    found: dict[str, Any] = {}
    try:
        while True:
            entry = await watcher.updates(timeout=3)  # type: ignore[no-untyped-call]
            if not isinstance(entry, KeyValue.Entry):  # None: that was all
                break
            if wanted(entry.key):
                found[entry.key] = json.loads(entry.value or b"{}")
    finally:
        await watcher.stop()  # type: ignore[no-untyped-call]
    return [found[key] for key in sorted(found)]
