"""Bodies of requests and answers about runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import StreamingResponse

from agent_runtime.errors import RequestError
from agent_runtime.protocol.strict_json import decode
from agent_runtime.server.context import MAX_BODY, Server
from agent_runtime.server.errors import ApiError
from agent_runtime.server.run import Run
from agent_runtime.server.run_files import RunRecord
from agent_runtime.server.streams import HEADERS, frames


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


def event_stream(server: Server, run: Run, *, after: int, headers: dict[str, str]) -> StreamingResponse:
    """The events of a run after the number `after`, as server-sent events."""
    lines = run.follow(after)

    async def body() -> AsyncIterator[bytes]:
        ended = False
        try:
            async for frame in frames(lines):
                yield frame
            ended = True
        finally:
            if not ended and run.record.on_disconnect == "cancel":
                server.in_background(lambda: run.send({"action": "cancel"}))

    return StreamingResponse(body(), headers=HEADERS | headers)


def result_of(complete: dict[str, Any]) -> dict[str, Any]:
    """The `data` of a run that has ended: the fields of both generations of the API."""
    kept = {name: value for name, value in complete.items() if name not in ("type", "seq", "ts")}
    return {"id": complete["runId"], **kept, "executionMode": complete.get("executionMode") or "in_sandbox"}


def identity(record: RunRecord) -> dict[str, Any]:
    """The `data` of a run that has not ended."""
    return {
        "id": record.run_id,
        "runId": record.run_id,
        "threadId": record.thread_id,
        "agent": record.agent,
        "sandboxId": record.sandbox_id,
        **record.fields,
        **({"queue": record.queue} if record.queue else {}),
    }
