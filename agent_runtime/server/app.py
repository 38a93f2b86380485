"""The ASGI application: routes, admission, request ids, errors."""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from secrets import token_hex
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Match, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_runtime.conversation.threads.store import ThreadStore
from agent_runtime.errors import RequestError
from agent_runtime.server import (
    other_routes,
    page_routes,
    run_routes,
    sandbox_routes,
    start_routes,
    thread_routes,
)
from agent_runtime.server.auth import ApiKey, Gate
from agent_runtime.server.context import Server
from agent_runtime.server.errors import ApiError, error_response, not_found, stopping
from agent_runtime.server.follow import Follower
from agent_runtime.server.launch import Launcher
from agent_runtime.server.request_counts import RequestCounts
from agent_runtime.server.run import Dispatcher
from agent_runtime.server.runs import Runs
from agent_runtime.server.store import IdempotencyStore
from agent_runtime.system.descriptor_limit import raise_descriptor_limit
from agent_runtime.system.file_watch import FileWatch

log = logging.getLogger(__name__)

_OPEN = ("/", "/healthz", "/readyz", "/openapi.json")  # need no key; neither do the files of the page
_WITH_HEADERS = ("http.response.start", "websocket.http.response.start", "websocket.accept")
_THREADS = 64  # started as they are needed
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")

ROUTES = [
    Route("/v1/run", start_routes.start_run, methods=["POST"]),
    Route("/v1/run/threads", thread_routes.list_threads),
    Route("/v1/run/threads/{id}", thread_routes.get_thread),
    Route("/v1/run/threads/{id}", thread_routes.delete_thread, methods=["DELETE"]),
    Route("/v1/run/threads/{id}/fork", thread_routes.fork_thread, methods=["POST"]),
    Route("/v1/run/{slug}", start_routes.start_run, methods=["POST"]),
    Route("/v1/agents", other_routes.list_agents),
    Route("/v1/agents/{slug}/run", start_routes.start_run, methods=["POST"]),
    Route("/v1/runs", run_routes.list_runs),
    Route("/v1/runs/{id}", run_routes.get_run),
    Route("/v1/runs/{id}/events", run_routes.run_events),
    Route("/v1/runs/{id}/report", page_routes.run_report),
    Route("/v1/runs/{id}/{action:str}", run_routes.control_run, methods=["POST"]),
    Route("/v1/models", other_routes.list_models),
    Route("/v1/sandboxes/{id}/url", sandbox_routes.sandbox_url),
    WebSocketRoute("/v1/run/{slug}/stream/{run_id}", run_routes.run_socket),
    WebSocketRoute("/v1/sandboxes/{id}/logs", sandbox_routes.sandbox_logs),
    Route("/healthz", other_routes.health),
    Route("/readyz", other_routes.ready),
    Route("/openapi.json", other_routes.openapi),
    Route("/page/{name}", page_routes.page_file),
    Route("/", page_routes.index),
]


def create_app(
    *,
    state_dir: Path,
    workspace: Path,
    keys: Sequence[ApiKey],
    hosts: frozenset[str],
    environ: Mapping[str, str],
    dev_url: str | None = None,
    standby: bool = True,
    dispatcher: Callable[[], AbstractAsyncContextManager[Dispatcher]] | None = None,
) -> Starlette:
    """The application.

    Args:
        state_dir: where runs and threads are.
        workspace: the workspace of requests that name none.
        keys: the accepted keys; if there are none, every request from this machine is accepted.
        hosts: values of the `Host` header that are this server's own.
        environ: the environment of the runs, with the models' keys.
        dev_url: template of the public addresses of ports.
        standby: keep a process that new runs are forked from.
        dispatcher: connects to the queues that run requests on other machines.

    Raises:
        RequestError: a database in the state directory cannot be used.
    """
    threads = ThreadStore(state_dir)
    idempotency = IdempotencyStore(state_dir / "api.sqlite3")
    counts = RequestCounts(state_dir / "limits.sqlite3")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        # a thread may wait for a locked database, or for a run that reads nothing: others must not wait for it
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "server"))
        raise_descriptor_limit()
        async with AsyncExitStack() as stack:
            remote = await stack.enter_async_context(dispatcher()) if dispatcher else None
            watch = stack.enter_context(closing(FileWatch()))
            launcher = Launcher({**environ, "AGENT_RUNTIME_STATE_DIR": str(state_dir)})
            stack.push_async_callback(asyncio.to_thread, launcher.close)
            if standby:
                launcher.warm_up()
            app.state.server = server = Server(
                runs=Runs(state_dir, workspace, launcher, Follower(watch)),
                threads=stack.enter_context(closing(threads)),
                keys=stack.enter_context(closing(idempotency)),
                gate=Gate(keys, hosts, stack.enter_context(closing(counts))),
                workspace=workspace,
                dev_url=dev_url,
                dispatcher=remote,
            )
            stack.push_async_callback(_end, server.background)
            server.in_background(server.runs.tend)
            yield

    app = Starlette(
        routes=ROUTES,
        lifespan=lifespan,
        exception_handlers={
            ApiError: _on_api_error,
            HTTPException: _on_http_exception,
        },
    )
    app.router.default = _no_route
    app.router.redirect_slashes = False  # a redirect would lose the body
    app.add_middleware(Admission)
    return app


class Admission:
    """Gives each request an id, admits or refuses it, and adds the id and the limits to the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        given = connection.headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else f"req_{token_hex(12)}"
        connection.state.request_id = request_id
        added = {"X-Request-ID": request_id}
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] in _WITH_HEADERS:
                more = [(name.lower().encode(), value.encode()) for name, value in added.items()]
                message["headers"] = [*message.get("headers", ()), *more]
            await send(message)

        try:
            if scope["path"] not in _OPEN and not scope["path"].startswith("/page/"):
                added |= await Server.of(connection).gate.admit(connection)
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:  # nobody reads the answer
            return
        except asyncio.CancelledError:  # the server is stopping, and has waited long enough
            if not begun:
                await error_response(connection, stopping())(scope, receive, send_with_headers)
        except Exception as error:
            if begun:  # nothing can be sent any more, so the connection ends
                raise
            await error_response(connection, _refusal(scope, error))(scope, receive, send_with_headers)


async def _end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


async def _no_route(scope: Scope, receive: Receive, send: Send) -> None:
    what = f"route {scope['path']}; GET /openapi.json lists the routes"
    await error_response(HTTPConnection(scope), not_found(what))(scope, receive, send)


async def _on_api_error(http: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_response(http, error)


async def _on_http_exception(http: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers, message, code = dict(error.headers or {}), str(error.detail), "invalid_request"
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_methods(http)))
        message, code = (
            f"{http.method} is not allowed here; expected {headers['Allow']}",
            "method_not_allowed",
        )
    return error_response(http, ApiError(error.status_code, code, message, headers=headers))


def _methods(http: HttpRequest) -> set[str]:
    """The methods of all routes of this path."""
    routes = (route for route in ROUTES if isinstance(route, Route))
    matching = (route for route in routes if route.matches(http.scope)[0] is not Match.NONE)
    return {method for route in matching for method in route.methods or ()}


def _refusal(scope: Scope, error: Exception) -> ApiError:
    """The answer to a request that has raised an exception."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, sqlite3.Error | OSError):
        log.error("%s %s: %s", scope.get("method", "WS"), scope["path"], error)
        return ApiError(500, "internal_error", f"the state directory cannot be used: {error}")
    if isinstance(error, RequestError):
        return ApiError.of(error)
    log.error("%s %s failed", scope.get("method", "WS"), scope["path"], exc_info=error)
    return ApiError(500, "internal_error", "a defect of the server; its log has the details")
