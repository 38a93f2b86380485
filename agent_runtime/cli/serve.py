"""`agent-runtime serve`: the HTTP API."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import os
import socket
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import uvicorn

from agent_runtime.cli.hide_keys import hide_keys
from agent_runtime.cli.nats_options import nats_options
from agent_runtime.dev_servers.urls import check_template
from agent_runtime.engine.run_config import state_dir
from agent_runtime.errors import ExitCode, RequestError
from agent_runtime.fleet.names import Queue
from agent_runtime.fleet.nats_options import AUTO
from agent_runtime.fleet.own_server import program
from agent_runtime.server.app import create_app
from agent_runtime.server.auth import ApiKey
from agent_runtime.server.http_protocol import TimedProtocol
from agent_runtime.server.logs import log_to_stderr
from agent_runtime.server.run import Dispatcher
from agent_runtime.server.socket_protocol import MAX_MESSAGE, BoundedSocket
from agent_runtime.server.stop_signals import StopSignals
from agent_runtime.system.process_title import set_title


def serve_command(arguments: argparse.Namespace) -> int:
    """Serve until a signal arrives; active runs continue."""
    signals = StopSignals()
    try:
        hide_keys()
        set_title("agent-runtime serve")  # the command line may hold API keys
        keys = [ApiKey.parse(text) for text in arguments.api_key]
        listener = _listener(arguments.host, arguments.port, with_keys=bool(keys))
        template = arguments.dev_url or os.environ.get("AGENT_RUNTIME_DEV_URL")
        if template:
            check_template(template)
        where = state_dir(arguments.state_dir, os.environ)
        port = listener.getsockname()[1]
        names = {arguments.host, "localhost", "127.0.0.1", "[::1]"}
        workspace = Path(arguments.workspace or os.environ.get("AGENT_RUNTIME_WORKSPACE") or ".").absolute()
        app = create_app(
            state_dir=where,
            workspace=workspace,
            keys=keys,
            hosts=frozenset(f"{name}:{port}" for name in names),
            environ=os.environ,
            dev_url=template,
            standby=not arguments.no_standby,
            dispatcher=_dispatcher(arguments, where),
        )
    except RequestError as error:
        print(f"agent-runtime: {error}", file=sys.stderr)
        return ExitCode.INVALID_REQUEST
    log_to_stderr()
    print(f"listening on http://{arguments.host}:{port}", file=sys.stderr, flush=True)
    if arguments.nats == AUTO:
        stored = f"the address of its NATS server is in {where / 'nats' / 'url'}"
        print(f"{stored}; runners of this machine use --nats auto", file=sys.stderr, flush=True)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=arguments.drain,
        http=TimedProtocol,
        ws=BoundedSocket,
        ws_max_size=MAX_MESSAGE,
    )
    server = uvicorn.Server(config)
    signals.listen(server)
    server.run(sockets=[listener])
    return ExitCode.COMPLETED


def _dispatcher(
    arguments: argparse.Namespace, where: Path
) -> Callable[[], AbstractAsyncContextManager[Dispatcher]] | None:
    """Return a context manager that connects to NATS; None if runs are processes here. Raises RequestError."""
    pool = Queue.parse(arguments.dispatch, field="--dispatch") if arguments.dispatch else None
    if arguments.nats is None:
        if pool:
            raise RequestError("--dispatch", "expected --nats as well: the queue is there")
        return None
    options = nats_options(arguments)
    from agent_runtime.fleet.dispatch import dispatching

    if options.url == AUTO:
        program()
    else:
        asyncio.run(_check(dispatching(options, pool, where)))
    return partial(dispatching, options, pool, where)


async def _check(connecting: AbstractAsyncContextManager[Dispatcher]) -> None:
    async with connecting:
        pass


def _listener(host: str, port: int, *, with_keys: bool) -> socket.socket:
    """Return the listening socket. Raises RequestError; without keys, also for addresses other than loopback."""
    try:
        [*_, (family, _, _, _, address)] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise RequestError(
            "--host", f"expected an address of this machine, got {host!r} ({error.strerror})"
        ) from None
    if not with_keys and not ipaddress.ip_address(address[0]).is_loopback:
        raise RequestError(
            "--host", f"{host} can be reached from other machines: add --api-key, or use 127.0.0.1"
        )
    # asyncio turns off Nagle's algorithm, which delays answers by 40 ms, for sockets of this protocol only
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise RequestError("--port", f"expected a free port, got {port} ({error.strerror})") from None
    listener.listen(1024)
    return listener
