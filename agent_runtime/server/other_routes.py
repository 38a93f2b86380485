"""Routes about the server itself: health, models, agents, the description of the API."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from agent_runtime.errors import RequestError
from agent_runtime.prompting.agent_definitions import agent_directories, find_agent, known_agents
from agent_runtime.providers.model_table import MODELS
from agent_runtime.providers.provider_table import PROVIDERS
from agent_runtime.server.context import Server
from agent_runtime.server.errors import answer
from agent_runtime.server.openapi import description
from agent_runtime.version import VERSION

_DISK = 1 << 20  # free bytes that a short run needs


async def health(http: HttpRequest) -> Response:
    """`GET /healthz`."""
    return JSONResponse({"status": "ok", "version": VERSION}, headers={"Cache-Control": "no-store"})


async def ready(http: HttpRequest) -> Response:
    """`GET /readyz`: 503 while no run can be started: the state directory cannot be written, or its disk is full."""
    status = _state(Server.of(http).runs.state_dir)
    return JSONResponse(
        {"status": status},
        status_code=200 if status == "ready" else 503,
        headers={"Cache-Control": "no-store"},
    )


def _state(state_dir: Path) -> str:
    if not os.access(state_dir, os.W_OK):
        return "state_dir_unwritable"
    disk = os.statvfs(state_dir)
    return "ready" if disk.f_bavail * disk.f_frsize >= _DISK else "disk_full"


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
