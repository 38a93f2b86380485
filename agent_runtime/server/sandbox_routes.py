"""Routes of sandboxes: the public address of a port, and the logs of the runs."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent_runtime.dev_servers.urls import Template
from agent_runtime.protocol.request import IDENTIFIER
from agent_runtime.server.context import Server
from agent_runtime.server.errors import ApiError, answer, not_found
from agent_runtime.server.paging import number_in
from agent_runtime.server.runs import Runs

_LOOK = 0.5  # seconds between two looks at the logs
_PIECE = 1 << 16  # bytes that are read of a log at once


async def sandbox_url(http: HttpRequest) -> Response:
    """`GET /v1/sandboxes/{id}/url?port=`: the public address of a port. Raises ApiError (400, 404)."""
    text, sandbox_id = http.query_params.get("port", ""), http.path_params["id"]
    port = number_in(text, 1, 65_535)
    if port is None:
        message = f"port: expected a number from 1 to 65535, got {text!r:.80}"
        raise ApiError(400, "invalid_request", message, details={"field": "port"})
    if not re.fullmatch(IDENTIFIER, sandbox_id):
        raise not_found(f"sandbox {sandbox_id!r:.160}")
    return answer(http, {"url": Template(Server.of(http).dev_url, sandbox_id).url(port), "port": port})


async def sandbox_logs(socket: WebSocket) -> None:
    """`WS /v1/sandboxes/{id}/logs`: each line of the logs of a sandbox's runs as `{"runId", "line"}`."""
    server: Server = socket.app.state.server
    await socket.accept()
    logs = SandboxLogs(server.runs, socket.path_params["id"])
    gone = asyncio.ensure_future(_disconnected(socket))
    try:
        while not gone.done():
            for message in await asyncio.to_thread(logs.read):
                await socket.send_json(message)
            await asyncio.wait({gone}, timeout=_LOOK)
    except (WebSocketDisconnect, RuntimeError):
        return  # the client has gone while a line was sent
    finally:
        gone.cancel()


async def _disconnected(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


class SandboxLogs:
    """Reads whole lines of the logs of a sandbox's runs, from the beginning.

    Args:
        runs: all runs.
        sandbox_id: whose runs are read.
    """

    def __init__(self, runs: Runs, sandbox_id: str) -> None:
        self._runs, self._sandbox_id = runs, sandbox_id
        self._offsets: dict[str, int] = {}

    def read(self) -> list[dict[str, Any]]:
        """The lines that were added since the last call."""
        found = []
        for run in reversed(self._runs.recently_listed(_LOOK)):
            if run.record.sandbox_id == self._sandbox_id:
                found += [
                    {"runId": run.record.run_id, "line": line.decode("utf-8", "replace")}
                    for line in self._new_lines(run.record.run_id, ended=run.status != "running")
                ]
        return found

    def _new_lines(self, run_id: str, *, ended: bool) -> list[bytes]:
        offset = self._offsets.get(run_id, 0)
        try:
            with self._runs.files(run_id).log.open("rb") as file:
                file.seek(offset)
                data = file.read(_PIECE)
        except (ApiError, FileNotFoundError):  # no longer kept, or not started by a server
            return []
        whole = data.rfind(b"\n") + 1
        if not whole and (ended or len(data) == _PIECE):
            whole = len(data)  # the last line of a run may have no end
        self._offsets[run_id] = offset + whole
        return data[:whole].splitlines()
