"""Routes that start runs, read them and control them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent_runtime.engine.run_config import new_run_id
from agent_runtime.errors import RequestError
from agent_runtime.protocol.request import Request, parse
from agent_runtime.protocol.strict_json import decode
from agent_runtime.server.context import MAX_BODY, Server
from agent_runtime.server.errors import ApiError, answer
from agent_runtime.server.paging import page
from agent_runtime.server.run_files import RunFiles, RunRecord
from agent_runtime.server.store import digest
from agent_runtime.server.streams import HEADERS, frames

_ACTIONS = ("cancel", "pause", "resume", "input")


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
    if request.execution_mode == "local-mac":
        return _registered(http, request)
    files, record = await asyncio.to_thread(_started, server, http, body, request, on_disconnect)
    first = await server.runs.first(files)
    if first.type == "error":  # refused before `start`
        raise _refused(json.loads(first.text))
    ids = {"X-Run-ID": record.run_id, "X-Thread-ID": record.thread_id}
    if stream:
        return _event_stream(server, files, after=-1, headers=ids)
    return await _json_result(http, server, files, ids)


async def get_run(http: HttpRequest) -> Response:
    """`GET /v1/runs/{id}`: how the run stands."""
    server = Server.of(http)
    files = server.runs.files(http.path_params["id"])
    record = files.record()
    assert record
    complete = await asyncio.to_thread(files.outcome, record)
    if complete is None:
        return answer(http, {**_identity(record), "status": "running", "createdAt": record.created})
    return answer(http, {**result_of(complete), "createdAt": record.created})


async def list_runs(http: HttpRequest) -> Response:
    """`GET /v1/runs`: the latest first; `agent`, `status`, `threadId` filter."""
    server = Server.of(http)
    wanted = {name: http.query_params.get(name) for name in ("agent", "status", "threadId")}
    rows = []
    for record in await asyncio.to_thread(server.runs.listed):
        complete = await asyncio.to_thread(server.runs.files(record.run_id).outcome, record)
        status = complete["status"] if complete else "running"
        row = {**_identity(record), "status": status, "createdAt": record.created}
        if all(value is None or row.get(name) == value for name, value in wanted.items()):
            rows.append(row)
    found, meta = page(rows, http.query_params, key=lambda row: [row["createdAt"], row["runId"]])
    return answer(http, found, **meta)


async def run_events(http: HttpRequest) -> Response:
    """`GET /v1/runs/{id}/events`: the stream from an event on, as server-sent events.

    Raises ApiError: 400 for `after`, 404 for the run, 410 when its events are no longer kept.
    """
    server = Server.of(http)
    files = server.runs.files(http.path_params["id"])
    given = http.query_params.get("after", http.headers.get("last-event-id"))
    try:
        after = -1 if given in (None, "") else int(given)
    except ValueError:
        raise ApiError(
            400,
            "invalid_request",
            f"after: expected the `seq` of an event, got {given!r}",
            details={"field": "after"},
        ) from None
    if not files.events.exists():
        raise ApiError(
            410, "cursor_expired", "the events of this run are no longer kept", details={"oldest": None}
        )
    return _event_stream(server, files, after=after, headers={})


async def control_run(http: HttpRequest) -> Response:
    """`POST /v1/runs/{id}/cancel|pause|resume|input`. Raises ApiError (400, 404, 409)."""
    server = Server.of(http)
    files = server.runs.files(http.path_params["id"])
    action = http.path_params["action"]
    message: dict[str, Any] = {"action": action}
    if action == "input":
        body = await read_body(http)
        text = body.get("text") if isinstance(body, dict) else None
        if not isinstance(text, str) or not text.strip():
            raise ApiError(
                400, "invalid_request", "text: expected a text that is not empty", details={"field": "text"}
            )
        message["text"] = text
    if not await asyncio.to_thread(files.send, message):
        raise ApiError(409, "conflict", "the run has ended")
    return answer(http, {"runId": http.path_params["id"], "action": action, "accepted": True})


async def run_socket(socket: WebSocket) -> None:
    """`WS /v1/run/{slug}/stream/{runId}`: events as messages; control messages in return."""
    server: Server = socket.app.state.server
    try:
        files = server.runs.files(socket.path_params["run_id"])
        after = int(socket.query_params.get("after", -1))
    except (ApiError, ValueError) as error:
        await socket.close(4404, str(error)[:120])
        return
    await socket.accept()
    server.in_background(lambda: _receive(socket, files))
    try:
        async for lines in server.runs.follow(files, after):
            for line in lines:
                await socket.send_text(line.text.decode())
        await socket.close(1000)
    except (WebSocketDisconnect, RuntimeError):
        return  # the client has gone; the run goes on


async def _receive(socket: WebSocket, files: RunFiles) -> None:
    try:
        while True:
            text = await socket.receive_text()
            try:
                message = json.loads(text)
            except ValueError:
                message = {}
            known = isinstance(message, dict) and message.get("action") in _ACTIONS
            if not known or not await asyncio.to_thread(files.send, message):
                reason = "the run has ended" if known else f"expected an action of {', '.join(_ACTIONS)}"
                await socket.send_text(json.dumps({"error": {"code": "invalid_request", "message": reason}}))
    except (WebSocketDisconnect, RuntimeError, KeyError):
        return


async def read_body(http: HttpRequest) -> Any:
    """The JSON body. Raises ApiError 413 before more than MAX_BODY is read, and 400 for what is not JSON."""
    length = http.headers.get("content-length", "0")
    data = bytearray()
    if not length.isdecimal() or int(length) <= MAX_BODY:
        async for piece in http.stream():
            data += piece
            if len(data) > MAX_BODY:
                break
    if len(data) > MAX_BODY or (length.isdecimal() and int(length) > MAX_BODY):
        raise ApiError(413, "payload_too_large", f"expected a body of at most {MAX_BODY >> 20} MiB")
    try:
        return decode(bytes(data) or b"{}")
    except RequestError as error:
        raise ApiError.of(error) from error


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


def _started(
    server: Server, http: HttpRequest, body: Any, request: Request, on_disconnect: str
) -> tuple[RunFiles, RunRecord]:
    """The run of a request: a new one, or that of its idempotency key."""
    run_id = request.run_id or new_run_id()
    key = http.headers.get("idempotency-key") or body.get("idempotencyKey")
    if key:
        claim = server.keys.claim(str(key), digest(body), run_id)
        if claim.digest != digest(body):
            raise ApiError(422, "idempotency_mismatch", "this Idempotency-Key was used with another body")
        if not claim.is_new:
            return _claimed(server, claim.run_id)
    thread_id = request.thread_id or f"thr_{new_run_id().removeprefix('run_')}"
    try:
        files = server.runs.start(request, run_id=run_id, thread_id=thread_id, on_disconnect=on_disconnect)
    except BaseException:
        if key:
            server.keys.release(str(key))
        raise
    record = files.record()
    assert record
    return files, record


def _claimed(server: Server, run_id: str) -> tuple[RunFiles, RunRecord]:
    """The run that an earlier request with the same key has started."""
    try:
        files = server.runs.files(run_id)
    except ApiError:
        message = "a request with this Idempotency-Key is in progress"
        raise ApiError(409, "conflict", message, headers={"Retry-After": "1"}) from None
    record = files.record()
    assert record
    return files, record


def _refused(event: dict[str, Any]) -> ApiError:
    details = event.get("details") or {}
    if event.get("code") == "invalid_request":
        error = RequestError("", event["message"])
        error.field = details.get("field", "")
        return ApiError.of(error)
    return ApiError(500, "internal_error", event.get("message", "the run could not be started"))


def _event_stream(
    server: Server, files: RunFiles, *, after: int, headers: dict[str, str]
) -> StreamingResponse:
    record = files.record()
    lines = server.runs.follow(files, after)

    async def body() -> AsyncIterator[bytes]:
        ended = False
        try:
            async for frame in frames(lines):
                yield frame
            ended = True
        finally:
            if not ended and record and record.on_disconnect == "cancel":
                server.in_background(lambda: asyncio.to_thread(files.send, {"action": "cancel"}))

    return StreamingResponse(body(), headers=HEADERS | headers)


async def _json_result(
    http: HttpRequest, server: Server, files: RunFiles, ids: dict[str, str]
) -> JSONResponse:
    return answer(http, result_of(await server.runs.result(files)), headers=ids)


def result_of(complete: dict[str, Any]) -> dict[str, Any]:
    """The `data` of a run that has ended: the fields of both generations of the API."""
    kept = {name: value for name, value in complete.items() if name not in ("type", "seq", "ts")}
    return {"id": complete["runId"], **kept, "executionMode": complete.get("executionMode") or "in_sandbox"}


def _identity(record: RunRecord) -> dict[str, Any]:
    return {
        "id": record.run_id,
        "runId": record.run_id,
        "threadId": record.thread_id,
        "agent": record.agent,
        "sandboxId": record.sandbox_id,
    }


def _registered(http: HttpRequest, request: Request) -> JSONResponse:
    """A run for a device: accepted, to be dispatched when the device asks for it."""
    run_id = request.run_id or new_run_id()
    data = {
        "id": run_id,
        "runId": run_id,
        "threadId": request.thread_id,
        "rolloutId": request.rollout_id,
        "sandboxId": request.sandbox_id,
        "targetDeviceId": request.target_device_id,
        "executionMode": "local-mac",
        "status": "registered",
    }
    return answer(http, data, headers={"X-Run-ID": run_id})
