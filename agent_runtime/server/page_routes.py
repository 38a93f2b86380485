"""Routes of the page at `/`, and of the report of a run."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, Response

from agent_runtime.page.assets import KINDS, STYLES, asset, names
from agent_runtime.page.report import render
from agent_runtime.page.run_data import run_data
from agent_runtime.server.context import Server
from agent_runtime.server.errors import NO_STORE, answer, not_found

_HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>agent-runtime</title>
<link rel="icon" href="data:,">
{styles}
<script type="module" src="/page/app.js"></script>
</head>
<body>
<noscript>This page needs JavaScript; <a href="/openapi.json">/openapi.json</a> describes the API.</noscript>
</body>
</html>
"""


async def index(http: HttpRequest) -> Response:
    """`GET /`: the page to start and watch runs. It contains no data, so it needs no key."""
    styles = "\n".join(f'<link rel="stylesheet" href="/page/{name}">' for name in STYLES)
    policy = "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "img-src 'self' data:",
            f"frame-src {_frame_sources(Server.of(http).dev_url)}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ]
    )
    headers = NO_STORE | _SAFE | {"Content-Security-Policy": policy}
    return HTMLResponse(_HTML.format(styles=styles), headers=headers)


_SAFE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def _frame_sources(template: str | None) -> str:
    """The origins of the development servers that the page may embed."""
    local = "http://localhost:* http://127.0.0.1:*"
    if template is None:
        return local
    address = urlsplit(template.replace("{port}", "1").replace("{sandboxId}", "x"))
    host = urlsplit(template).netloc.rpartition("@")[2].partition(":")[0]
    labels = host.split(".")
    variable = [index for index, label in enumerate(labels) if "{" in label]
    if variable:  # a wildcard stands for the leading labels
        host = ".".join(["*", *labels[variable[-1] + 1 :]])
    return f"{local} {address.scheme}://{host}:*"


async def page_file(http: HttpRequest) -> Response:
    """`GET /page/{name}`: a file of the page. Raises ApiError 404."""
    name = http.path_params["name"]
    if name not in names():
        raise not_found(f"file {name!r}")
    text = asset(name)
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'
    headers = _SAFE | {"ETag": tag, "Cache-Control": "no-cache"}
    if http.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    kind = KINDS[name[name.rindex(".") :]]
    return Response(text, media_type=kind, headers=headers)


async def run_report(http: HttpRequest) -> Response:
    """`GET /v1/runs/{id}/report`: the report as a page; as JSON, what is known besides the events.

    Raises ApiError: 404 for the run, 409 while it has not begun.
    """
    run = await Server.of(http).run(http.path_params["id"])
    transcript = await run.transcript()
    if "text/html" not in http.headers.get("accept", "*/*") and "application/json" in http.headers["accept"]:
        data: dict[str, Any] = await asyncio.to_thread(run_data, transcript)
        del data["events"]
        return answer(http, data)
    page = await asyncio.to_thread(render, transcript)
    disposition = f'inline; filename="{run.record.run_id.replace(":", "_")}.html"'
    return HTMLResponse(page, headers=NO_STORE | _SAFE | {"Content-Disposition": disposition})
