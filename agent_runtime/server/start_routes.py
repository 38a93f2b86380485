"""Routes that start runs: `POST /v1/run` and its older forms."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from agent_runtime.engine.run_config import new_run_id
from agent_runtime.errors import RequestError
from agent_runtime.protocol.request import Request
from agent_runtime.server.answers import RunStream, identity, read_body, result_of, unless_client_leaves
from agent_runtime.server.context import Server
from agent_runtime.server.errors import ApiError, answer, in_progress
from agent_runtime.server.run import Run, first_event, result
from agent_runtime.server.run_files import RunRecord, is_process
from agent_runtime.server.runs import LocalRun, new_record
from agent_runtime.server.start_body import StartBody
from agent_runtime.server.store import digest


async def start_run(http: HttpRequest) -> Response:
    """`POST /v1/run` and the older forms with the agent's slug in the path.

    Raises ApiError when the request is refused, before or after the process of the run has started.
    """
    server = Server.of(http)
    body = await read_body(http)
    slug = http.path_params.get("slug")
    if slug is not None and isinstance(body, dict):
        body = {**body, "agent": slug}
    oldest_form = slug is not None and not http.url.path.startswith("/v1/agents/")
    start = await asyncio.to_thread(
        StartBody.parse, body, http.headers, stream_by_default=not oldest_form, workspace=server.workspace
    )
    request = start.request
    key = http.headers.get("idempotency-key") or request.idempotency_key
    queue = server.dispatcher.queue_of(request) if server.dispatcher else None
    if server.dispatcher and queue:
        record = replace(_new_record(request, start.on_disconnect), queue=queue.name)
        run = await server.dispatcher.start(request, record=record, key=key, digest=digest(body))
    elif request.execution_mode == "local-mac":
        return _registered(http, _new_record(request, start.on_disconnect))
    else:
        run = await _local_run(server, start, key, digest(body))
    if request.execution_mode == "local-mac":
        return _registered(http, run.record)
    ids = {"X-Run-ID": run.record.run_id, "X-Thread-ID": run.record.thread_id or ""}

    async def cancel() -> None:
        with suppress(ApiError):  # it has ended
            await run.send({"action": "cancel"})

    def on_left() -> None:
        if run.record.on_disconnect == "cancel":
            server.in_background(cancel)

    if start.stream:
        return RunStream(run.follow(), ids, on_left)
    return answer(http, result_of(await unless_client_leaves(http, result(run), on_left)), headers=ids)


async def _local_run(server: Server, start: StartBody, key: str | None, body: str) -> Run:
    """The run of a request on this machine: a new one, or the one of its key. Raises ApiError when it is refused."""
    run, is_new = await asyncio.to_thread(_started, server, start, key, body)
    try:
        first = await first_event(run)
    except FileNotFoundError:  # another request with this key was refused
        raise in_progress() from None
    refusal = _refusal(json.loads(first.text), start.request)
    if refusal is None:
        return run
    if is_new:  # nothing is kept of it: its ids and its key can be used again
        await result(run)  # its process has ended then
        await asyncio.to_thread(server.runs.remove, run.files)
        if key:
            await asyncio.to_thread(server.keys.release, key, run.record.run_id)
    raise refusal


def _new_record(request: Request, on_disconnect: str, run_id: str | None = None) -> RunRecord:
    thread_id = request.thread_id
    if thread_id is None and request.execution_mode != "local-mac":
        thread_id = f"thr_{new_run_id().removeprefix('run_')}"
    run_id = run_id or request.run_id or new_run_id()
    return new_record(request, run_id=run_id, thread_id=thread_id, on_disconnect=on_disconnect)


def _started(server: Server, start: StartBody, key: str | None, body: str) -> tuple[LocalRun, bool]:
    """The run of a request, and whether it is a new one, not that of its idempotency key."""
    run_id = start.request.run_id or new_run_id()
    if key and (earlier := _claimed(server, key, body, run_id)):
        return earlier, False
    try:
        record = _new_record(start.request, start.on_disconnect, run_id)
        return server.runs.start(start.request, record), True
    except BaseException:
        if key:
            server.keys.release(key, run_id)
        raise


def _claimed(server: Server, key: str, body: str, run_id: str) -> LocalRun | None:
    """The run that an earlier request with the same key has started; None when there is none."""
    claim = server.keys.claim(key, body, run_id)
    if claim.digest != body:
        raise ApiError(422, "idempotency_mismatch", "this Idempotency-Key was used with another body")
    if claim.is_new:
        return None
    try:
        return server.runs.find(claim.run_id)
    except ApiError as error:
        if error.status == 410:
            raise
        if not is_process(claim.server, claim.server_started):  # killed before it has started the run
            claim = server.keys.claim(key, body, run_id, abandoned=claim.run_id)
            if claim.is_new:
                return None
        raise in_progress() from None


def _refusal(event: dict[str, Any], request: Request) -> ApiError | None:
    """The answer when this first event is an error about the request. Other runs have failed."""
    if event["type"] != "error" or event["code"] != "invalid_request":
        return None
    error = RequestError("", event["message"])
    error.field = (event.get("details") or {}).get("field", "")
    if error.field == "stateDir" and request.state_dir is None:  # the run cannot use that of the server
        return ApiError(500, "internal_error", event["message"])
    return ApiError.of(error)


def _registered(http: HttpRequest, record: RunRecord) -> JSONResponse:
    """Accept a run for a device, which is dispatched when the device asks for it."""
    none = {"rolloutId": None, "targetDeviceId": None}
    data = none | identity(record) | {"executionMode": "local-mac", "status": "registered"}
    return answer(http, data, headers={"X-Run-ID": record.run_id})
