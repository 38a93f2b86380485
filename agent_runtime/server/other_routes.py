"""Routes about the server itself: health, models, agents, reports, sandboxes, the description of the API."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.websockets import WebSocket

from agent_runtime.dev_servers.urls import Template
from agent_runtime.errors import RequestError
from agent_runtime.prompting.agent_definitions import agent_directories, find_agent, known_agents
from agent_runtime.providers.catalog import PROVIDERS
from agent_runtime.providers.model_table import MODELS
from agent_runtime.server.context import Server
from agent_runtime.server.errors import ApiError, answer
from agent_runtime.server.openapi import description
from agent_runtime.version import VERSION


async def health(http: HttpRequest) -> Response:
    """`GET /healthz`."""
    return JSONResponse({"status": "ok", "version": VERSION}, headers={"Cache-Control": "no-store"})


async def openapi(http: HttpRequest) -> Response:
    """`GET /openapi.json`: OpenAPI 3.1, from the models that the code uses."""
    return JSONResponse(description())


async def list_models(http: HttpRequest) -> Response:
    """`GET /v1/models`."""
    models = [
        {
            "name": row.pattern,
            "contextWindow": row.context_window,
            "maxOutput": row.max_output,
            "images": row.vision,
        }
        for row in MODELS
    ]
    providers = [{"name": name, "keyVariable": provider.key_variable} for name, provider in PROVIDERS.items()]
    return answer(http, {"models": models, "providers": providers})


async def list_agents(http: HttpRequest) -> Response:
    """`GET /v1/agents`."""
    directories = agent_directories(Server.of(http).workspace)
    rows: list[dict[str, Any]] = []
    for slug in known_agents(directories):
        try:
            agent = find_agent(slug, directories)
        except RequestError as error:
            rows.append({"slug": slug, "error": str(error)})
        else:
            rows.append({"slug": slug, "name": agent.name, "description": agent.description})
    return answer(http, rows)


async def sandbox_url(http: HttpRequest) -> Response:
    """`GET /v1/sandboxes/{id}/url?port=`: the public address of a port. Raises ApiError 400."""
    port = http.query_params.get("port", "")
    if not port.isdecimal() or not 1 <= int(port) <= 65_535:
        message = f"port: expected a number from 1 to 65535, got {port!r}"
        raise ApiError(400, "invalid_request", message, details={"field": "port"})
    template = Template(Server.of(http).dev_url, http.path_params["id"])
    return answer(http, {"url": template.url(int(port)), "port": int(port)})


async def sandbox_logs(socket: WebSocket) -> None:
    """`WS /v1/sandboxes/{id}/logs`: the log of each run of a sandbox, as it grows."""
    server: Server = socket.app.state.server
    await socket.accept()
    sent: dict[str, int] = {}
    try:
        while True:
            for record in server.runs.listed():
                if record.sandbox_id == socket.path_params["id"]:
                    await _send_log(socket, server, record.run_id, sent)
            await asyncio.sleep(0.5)
    except Exception:
        return  # the client has gone


async def _send_log(socket: WebSocket, server: Server, run_id: str, sent: dict[str, int]) -> None:
    with server.runs.files(run_id).log.open("rb") as file:
        file.seek(sent.get(run_id, 0))
        data = file.read(1 << 16)
        sent[run_id] = file.tell()
    for line in data.decode("utf-8", "replace").splitlines():
        await socket.send_json({"runId": run_id, "line": line})


async def index(http: HttpRequest) -> Response:
    """`GET /`: what this server is."""
    return HTMLResponse(
        "<!doctype html><meta charset=utf-8><title>agent-runtime</title>"
        "<h1>agent-runtime</h1><p>The API is described by <a href=/openapi.json>/openapi.json</a>.</p>"
    )
