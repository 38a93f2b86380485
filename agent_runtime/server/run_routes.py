"""Routes that read runs and control them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent_runtime.server.answers import event_stream, identity, read_body, result_of
from agent_runtime.server.context import Server
from agent_runtime.server.errors import ApiError, answer
from agent_runtime.server.paging import page
from agent_runtime.server.run_files import RunFiles

_ACTIONS = ("cancel", "pause", "resume", "input")


async def get_run(http: HttpRequest) -> Response:
    """`GET /v1/runs/{id}`: how the run stands."""
    server = Server.of(http)
    files = server.runs.files(http.path_params["id"])
    record = files.record()
    assert record
    complete = await asyncio.to_thread(files.outcome, record)
    if complete is None:
        return answer(http, {**identity(record), "status": "running", "createdAt": record.created})
    return answer(http, {**result_of(complete), "createdAt": record.created})


async def list_runs(http: HttpRequest) -> Response:
    """`GET /v1/runs`: the latest first; `agent`, `status`, `threadId` filter."""
    server = Server.of(http)
    wanted = {name: http.query_params.get(name) for name in ("agent", "status", "threadId")}
    rows = []
    for record in await asyncio.to_thread(server.runs.listed):
        complete = await asyncio.to_thread(server.runs.files(record.run_id).outcome, record)
        status = complete["status"] if complete else "running"
        row = {**identity(record), "status": status, "createdAt": record.created}
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
    return event_stream(server, files, after=after, headers={})


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
