"""Routes that read runs and control them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent_runtime.errors import RequestError
from agent_runtime.protocol.strict_json import decode
from agent_runtime.server.answers import RunStream, identity, read_body, result_of
from agent_runtime.server.context import Server
from agent_runtime.server.control import ACTIONS, FIELDS, message_of
from agent_runtime.server.errors import NO_STORE, ApiError, answer, error_response, expired, not_found
from agent_runtime.server.paging import number_in, page
from agent_runtime.server.run import Run
from agent_runtime.server.run_index import ListedRun
from agent_runtime.transcripts.store import NAME, summary

_PROMPT = 200  # characters of a prompt in a list


async def get_run(http: HttpRequest) -> Response:
    """`GET /v1/runs/{id}`: the state of the run."""
    run = await Server.of(http).run(http.path_params["id"])
    complete, created = await run.outcome(), run.record.created
    if complete is None:
        return answer(http, {**identity(run.record), "status": await run.status(), "createdAt": created})
    return answer(http, {**result_of(complete), "createdAt": created})


async def list_runs(http: HttpRequest) -> Response:
    """`GET /v1/runs`: the latest first; `agent`, `status`, `threadId` filter."""
    server = Server.of(http)
    agent, status, thread = (http.query_params.get(name) for name in ("agent", "status", "threadId"))
    listed = [
        run
        for run in await server.listed()
        if agent in (None, run.record.agent) and thread in (None, run.record.thread_id)
    ]

    async def select(runs: Sequence[ListedRun]) -> list[ListedRun]:
        return [run for run in await server.with_status(runs) if status in (None, run.status)]

    found, meta = await page(listed, http.query_params, key=_place, select=select)
    rows = await asyncio.to_thread(lambda: [_row(server, run) for run in found])
    return answer(http, rows, **meta)


def _place(run: ListedRun) -> tuple[str, ...]:
    return run.record.created, run.record.run_id


def _row(server: Server, run: ListedRun) -> dict[str, Any]:
    known = {**identity(run.record), "status": run.status, "createdAt": run.record.created}
    return known | _recorded(server, run.record.run_id)


def _recorded(server: Server, run_id: str) -> dict[str, Any]:
    """What the recording of a run says about it; nothing for a run that is not recorded."""
    try:
        kept = summary(server.runs.files(run_id).folder / NAME)
    except (OSError, ValueError, KeyError, ApiError):
        return {}
    prompt = " ".join(kept.prompt.split())[:_PROMPT]
    return {
        "prompt": prompt,
        "model": kept.model,
        "totalTokens": kept.tokens,
        "durationMs": kept.duration_ms,
        "stopReason": kept.stop_reason,
    }


async def run_events(http: HttpRequest) -> Response:
    """`GET /v1/runs/{id}/events`: the stream from an event on, as server-sent events.

    Raises ApiError: 400 for `after`, 404 for the run, 410 when the events after that one are no longer kept.
    """
    run = await Server.of(http).run(http.path_params["id"])
    after = _after(http.query_params.get("after", http.headers.get("last-event-id")))
    oldest = await run.oldest()
    if oldest is None or (after >= 0 and after + 1 < oldest):
        first = "no events" if oldest is None else f"only the events from {oldest} on"
        raise expired(f"{first} of this run are kept", oldest=oldest)
    complete = await run.outcome() if after >= 0 else None
    if complete is not None and after >= complete["seq"]:  # status 204: an EventSource no longer reconnects
        return Response(status_code=204, headers=NO_STORE)
    return RunStream(run.follow(after), {}, lambda: None)


async def control_run(http: HttpRequest) -> Response:
    """`POST /v1/runs/{id}/cancel|pause|resume|input|answer|freeze|thaw`. Raises ApiError (400, 404, 409)."""
    run = await Server.of(http).run(http.path_params["id"])
    action = http.path_params["action"]
    if action not in ACTIONS:
        raise not_found(f"action {action!r}; expected one of {', '.join(ACTIONS)}")
    await _send(run, _message(action, await read_body(http) if action in FIELDS else {}))
    return answer(http, {"runId": http.path_params["id"], "action": action, "accepted": True})


async def _send(run: Run, message: dict[str, Any]) -> None:
    """Send a control message to a run. Raises ApiError (409, 413)."""
    if not await run.send(message):
        raise ApiError(409, "conflict", "the run has ended")


def _after(given: str | None) -> int:
    """The `seq` after which events are wanted; -1 for all. Raises ApiError 400."""
    if not given or given == "-1":
        return -1
    after = number_in(given, 0, 10**18)
    if after is None:
        what = f"after: expected the `seq` of an event, got {given!r:.80}"
        raise ApiError(400, "invalid_request", what, details={"field": "after"})
    return after


def _message(action: str, body: Any) -> dict[str, Any]:
    """The control message of an action. Raises ApiError 400 when a field is wrong or missing."""
    if not isinstance(body, dict):
        raise ApiError(400, "invalid_request", "expected a JSON object", details={"field": "request"})
    try:
        return message_of(action, body)
    except RequestError as error:
        raise ApiError.of(error) from error


async def run_socket(socket: WebSocket) -> None:
    """`WS /v1/run/{slug}/stream/{runId}`: events as messages; control messages in return."""
    server: Server = socket.app.state.server
    try:
        run = await server.run(socket.path_params["run_id"])
        after = _after(socket.query_params.get("after"))
    except ApiError as error:
        await socket.send_denial_response(error_response(socket, error))
        return
    await socket.accept()
    # until the run ends or the client leaves, which may happen while there are no events
    sending = asyncio.ensure_future(_send_events(socket, run, after))
    receiving = asyncio.ensure_future(_receive(socket, run))
    try:
        done, _ = await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        sending.cancel()
        receiving.cancel()
        await asyncio.wait({sending, receiving})


async def _send_events(socket: WebSocket, run: Run, after: int) -> None:
    """Send the events of the run, and close the socket after the last one."""
    with suppress(WebSocketDisconnect, RuntimeError):  # the client has gone; the run goes on
        async for lines in run.follow(after):
            for line in lines:
                await socket.send_text(line.text.decode())
        await socket.close(1000)


async def _receive(socket: WebSocket, run: Run) -> None:
    """Pass the control messages of a client to the run; what cannot be passed on is answered with an error."""
    with suppress(WebSocketDisconnect, RuntimeError):
        while (message := await socket.receive())["type"] == "websocket.receive":
            try:
                # a message without text is binary
                await _send(run, _socket_message(message.get("text") or message.get("bytes") or b""))
            except ApiError as error:
                await socket.send_text(json.dumps({"error": {"code": error.code, "message": error.message}}))


def _socket_message(text: str | bytes) -> dict[str, Any]:
    """The control message that a client has sent. Raises ApiError 400."""
    body: Any = None
    with suppress(RequestError):
        body = decode(text)
    action: Any = body.get("action") if isinstance(body, dict) else None
    if action not in ACTIONS:
        raise ApiError(400, "invalid_request", f"expected an object with an action of {', '.join(ACTIONS)}")
    return _message(action, body)
