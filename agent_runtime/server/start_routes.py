"""Routes that start runs: `POST /v1/run` and its older forms."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from agent_runtime.engine.run_config import new_run_id
from agent_runtime.errors import RequestError
from agent_runtime.protocol.request import Request, parse
from agent_runtime.server.answers import event_stream, identity, read_body, result_of
from agent_runtime.server.context import Server
from agent_runtime.server.errors import ApiError, answer
from agent_runtime.server.run import Run, first_event, result
from agent_runtime.server.run_files import RunRecord, is_process
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
    request, stream, on_disconnect = _checked(body, stream_by_default=not oldest_form)
    if request.traceparent is None and (trace := http.headers.get("traceparent")):
        request = request.model_copy(update={"traceparent": trace})
    queue = server.dispatcher.queue_of(request) if server.dispatcher else None
    if server.dispatcher and queue:
        key = http.headers.get("idempotency-key") or body.get("idempotencyKey")
        run = await server.dispatcher.start(
            request,
            record=replace(_new_record(server, request, on_disconnect), queue=queue.name),
            key=str(key) if key else None,
            digest=digest(body),
        )
    elif request.execution_mode == "local-mac":
        return _registered(http, _new_record(server, request, on_disconnect))
    else:
        run = await asyncio.to_thread(_started, server, http, body, request, on_disconnect)
        first = await first_event(run)
        if first.type == "error":
            _raise_refusal(json.loads(first.text))
    if request.execution_mode == "local-mac":
        return _registered(http, run.record)
    ids = {"X-Run-ID": run.record.run_id, "X-Thread-ID": run.record.thread_id or ""}
    if stream:
        return event_stream(server, run, after=-1, headers=ids)
    return answer(http, result_of(await result(run)), headers=ids)


def _checked(body: Any, *, stream_by_default: bool) -> tuple[Request, bool, str]:
    fields = body
    if isinstance(body, dict):
        fields = {name: value for name, value in body.items() if name != "onDisconnect"}
    try:
        request, _ = parse(fields)
    except RequestError as error:
        raise ApiError.of(error) from error
    on_disconnect = body.get("onDisconnect", "continue")
    if on_disconnect not in ("continue", "cancel"):
        message = f"onDisconnect: expected 'continue' or 'cancel', got {on_disconnect!r}"
        raise ApiError(400, "invalid_request", message, details={"field": "onDisconnect"})
    if request.execution_mode == "managed" and request.tools is None:
        # nothing that touches files or processes
        request = request.model_copy(update={"tools": ["web_search"]})
    stream = stream_by_default if request.stream is None else request.stream
    return request, stream, on_disconnect


def _new_record(server: Server, request: Request, on_disconnect: str, run_id: str | None = None) -> RunRecord:
    thread_id = request.thread_id
    if thread_id is None and request.execution_mode != "local-mac":
        thread_id = f"thr_{new_run_id().removeprefix('run_')}"
    run_id = run_id or request.run_id or new_run_id()
    return server.runs.new_record(request, run_id=run_id, thread_id=thread_id, on_disconnect=on_disconnect)


def _started(server: Server, http: HttpRequest, body: Any, request: Request, on_disconnect: str) -> Run:
    """The run of a request: a new one, or that of its idempotency key."""
    run_id = request.run_id or new_run_id()
    key = http.headers.get("idempotency-key") or body.get("idempotencyKey")
    if key and (earlier := _claimed(server, str(key), digest(body), run_id)):
        return earlier
    try:
        return server.runs.start(request, _new_record(server, request, on_disconnect, run_id))
    except BaseException:
        if key:
            server.keys.release(str(key))
        raise


def _claimed(server: Server, key: str, body: str, run_id: str) -> Run | None:
    """The run that an earlier request with the same key has started; None when there is none."""
    claim = server.keys.claim(key, body, run_id)
    if claim.digest != body:
        raise ApiError(422, "idempotency_mismatch", "this Idempotency-Key was used with another body")
    if claim.is_new:
        return None
    try:
        return server.runs.find(claim.run_id)
    except ApiError:
        if not is_process(claim.server, claim.server_started):  # killed before it has started the run
            claim = server.keys.claim(key, body, run_id, abandoned=claim.run_id)
            if claim.is_new:
                return None
        message = "a request with this Idempotency-Key is in progress"
        raise ApiError(409, "conflict", message, headers={"Retry-After": "1"}) from None


def _raise_refusal(event: dict[str, Any]) -> None:
    """Raise ApiError when this `error` event, before `start`, is about the request. Other runs have failed."""
    if event["code"] == "invalid_request":
        error = RequestError("", event["message"])
        error.field = (event.get("details") or {}).get("field", "")
        raise ApiError.of(error)


def _registered(http: HttpRequest, record: RunRecord) -> JSONResponse:
    """A run for a device: accepted, to be dispatched when the device asks for it."""
    none = {"rolloutId": None, "targetDeviceId": None}
    data = none | identity(record) | {"executionMode": "local-mac", "status": "registered"}
    return answer(http, data, headers={"X-Run-ID": record.run_id})
