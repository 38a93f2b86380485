"""Bodies of requests and answers about runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import suppress
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from agent_runtime.errors import RequestError
from agent_runtime.protocol.strict_json import decode
from agent_runtime.server.context import MAX_BODY
from agent_runtime.server.errors import ApiError
from agent_runtime.server.run_files import RunRecord
from agent_runtime.server.stream_file import Line
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


class RunStream(StreamingResponse):
    """The events of a run as server-sent events. `on_left` is called when the client leaves before the last one."""

    def __init__(
        self, lines: AsyncGenerator[list[Line]], headers: dict[str, str], on_left: Callable[[], None]
    ) -> None:
        self._on_left = on_left
        self._ended = False
        super().__init__(self._body(lines), headers=HEADERS | headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        with suppress(ClientDisconnect):  # HTTP servers report the end of a connection in different ways
            await super().__call__(scope, receive, send)
        if not self._ended:  # also if the body was never begun; a server that stops raises CancelledError
            self._on_left()

    async def _body(self, lines: AsyncGenerator[list[Line]]) -> AsyncIterator[bytes]:
        async for frame in frames(lines):
            yield frame
        self._ended = True


async def unless_client_leaves(
    http: HttpRequest, work: Coroutine[Any, Any, dict[str, Any]], on_left: Callable[[], None]
) -> dict[str, Any]:
    """Wait for a result. If the client disconnects first, `on_left` is called.

    Raises ClientDisconnect in that case, and what the work raises.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(http))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            on_left()
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _disconnected(http: HttpRequest) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


def result_of(complete: dict[str, Any]) -> dict[str, Any]:
    """The `data` of a run that has ended: the fields of the older and the newer API."""
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
