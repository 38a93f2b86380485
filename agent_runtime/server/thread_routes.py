"""Routes of threads."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from agent_runtime.conversation.threads.store import ThreadBusy, ThreadInfo, ThreadStoreError
from agent_runtime.engine.run_config import new_run_id
from agent_runtime.errors import RequestError
from agent_runtime.server.answers import read_body
from agent_runtime.server.context import Server
from agent_runtime.server.errors import ApiError, answer, not_found
from agent_runtime.server.paging import limit_of


async def list_threads(http: HttpRequest) -> Response:
    """`GET /v1/run/threads?agent=&limit=&cursor=`: the last used first. Raises ApiError 400."""
    server, query = Server.of(http), http.query_params
    try:
        found = await asyncio.to_thread(
            server.threads.list, agent=query.get("agent"), limit=limit_of(query), cursor=query.get("cursor")
        )
    except RequestError as error:
        raise ApiError.of(error) from error
    rows = [_info(thread) for thread in found.threads]
    return answer(http, rows, hasMore=found.cursor is not None, nextCursor=found.cursor)


async def get_thread(http: HttpRequest) -> Response:
    """`GET /v1/run/threads/{id}`: a thread with its messages and its runs.

    Raises ApiError 404.
    """
    server, id = Server.of(http), http.path_params["id"]
    info = await _existing(server, id)
    messages = await asyncio.to_thread(server.threads.record, id)
    listed = await server.listed()
    runs = [run.record.run_id for run in listed if run.record.thread_id == id]
    data = _info(info) | {
        "messages": [
            message.model_dump(mode="json", by_alias=True, exclude={"native"}) for message in messages
        ],
        "runs": runs,
    }
    return answer(http, data)


async def delete_thread(http: HttpRequest) -> Response:
    """`DELETE /v1/run/threads/{id}`. Raises ApiError 404, or 409 while a run uses the thread."""
    server, id = Server.of(http), http.path_params["id"]
    await _existing(server, id)
    try:
        await asyncio.to_thread(server.threads.delete, id)
    except ThreadBusy as error:
        raise ApiError.of(error) from error
    return answer(http, {"id": id, "deleted": True})


async def fork_thread(http: HttpRequest) -> Response:
    """`POST /v1/run/threads/{id}/fork`: a copy, under the id in `as` or a new one.

    Raises ApiError: 400 for the body, 404 for the thread, 409 when the new id is taken.
    """
    server, id = Server.of(http), http.path_params["id"]
    await _existing(server, id)
    body = await read_body(http)
    if not isinstance(body, dict):
        raise ApiError(400, "invalid_request", "expected a JSON object", details={"field": "request"})
    new, at = body.get("as") or f"thr_{new_run_id().removeprefix('run_')}", body.get("at")
    for field, value, kind in (("as", new, str), ("at", at, int)):
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            message = (
                f"{field}: expected {'a text' if kind is str else 'the number of a turn'}, got {value!r}"
            )
            raise ApiError(400, "invalid_request", message, details={"field": field})
    try:
        info = await asyncio.to_thread(server.threads.fork, id, new, at=at)
    except RequestError as error:
        await _existing(server, id)  # it may have been deleted since
        raise ApiError.of(error) from error
    return answer(http, _info(info), status=201)


async def _existing(server: Server, id: str) -> ThreadInfo:
    try:
        info = await asyncio.to_thread(server.threads.get, id)
    except ThreadStoreError:
        raise
    except RequestError:  # it cannot be the id of a thread
        info = None
    if info is None:
        raise not_found(f"thread {id!r}")
    return info


def _info(thread: ThreadInfo) -> dict[str, Any]:
    row = asdict(thread)
    row["messageCount"] = row.pop("messages")
    row["createdAt"], row["updatedAt"] = _time(row.pop("created")), _time(row.pop("updated"))
    return row


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
